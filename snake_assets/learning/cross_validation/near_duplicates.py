"""Photos that are nearly the same, by the cosine of their features less a centre.

What all photos share says nothing: with the mean of the features subtracted, even a backbone that was
never trained sets photos apart. The search is exact. For vectors of length 1, |x - y|^2 = 2 - 2 cos, and no
distance grows by projection: vectors are compared by 24 coordinates and by how long the rest of them is, and
only the pairs that are near enough by those are looked at whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

# The axes are found on a sample; any are right, good ones are quick.
AXES, AXES_SAMPLE = 24, 8192
# One tile of comparisons, 16 MB; what it finds is looked at so many pairs at once.
TILE_ROWS, TILE_COLUMNS, CHECKED_AT_ONCE = 512, 8192, 8192
# More than float32 loses of a squared distance between unit vectors.
SLACK = 2e-5
# Rounding leaves this share of a vector's length when its like is subtracted: no direction to speak of.
ROUNDING = 1e-6

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Row numbers in the one matrix and in the other, int64 [P, 2], ascending; cosines, float32 [P].

    `truncated` means that there may be more; those here are the first that were found.
    """

    pairs: Rows
    cosine: Floats
    truncated: bool


def near_duplicates(
    features: npt.NDArray[np.floating],
    other: npt.NDArray[np.floating],
    least_cosine: float,
    centre: npt.NDArray[np.floating] | None,
    most_pairs: int,
) -> NearDuplicates:
    """Rows of `features` [N, D] and of `other` [M, D] with a cosine above `least_cosine`, 0 or more.

    The centre [D] is subtracted from all first. Two rows without a direction (all zeros, or equal to the
    centre) are a pair; one of them and any other row are not. The search ends when it has `most_pairs`.

    Raises:
        LearningError: matrices that do not fit, a value that is NaN or infinite.
    """
    left, right = _unit_rows(features, centre), _unit_rows(other, centre)
    if left.shape[1] != right.shape[1]:
        raise LearningError(f"Rows of {left.shape[1]} and of {right.shape[1]} dims cannot be compared.")
    found = [(np.empty((0, 2), np.int64), np.empty(0, np.float32))]
    pairs = 0
    for i, j, cosine in _near_pairs(left, right, least_cosine):
        found.append((np.column_stack([i, j]), cosine))
        pairs += len(i)
        if pairs > most_pairs:
            break
    both, cosines = (np.concatenate(parts)[:most_pairs] for parts in zip(*found, strict=True))
    order = np.lexsort((both[:, 1], both[:, 0]))
    return NearDuplicates(both[order], cosines[order], pairs > most_pairs)


def duplicate_groups(
    features: npt.NDArray[np.floating], least_cosine: float, centre: npt.NDArray[np.floating] | None = None
) -> Rows:
    """Groups of rows [N, D] that are nearly the same, directly or through others: their numbers, int64 [N].

    However many pairs there are, they are never all in memory. Arguments and errors as in `near_duplicates`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    units = _unit_rows(features, centre)
    group = np.arange(len(units))
    for i, j, _ in _near_pairs(units, units, least_cosine, group):
        edges = coo_array((np.ones(len(i), np.int8), (group[i], group[j])), shape=2 * (len(group),))
        group[:] = connected_components(edges, directed=False)[1][group]
    return group


def _unit_rows(features: npt.NDArray[np.floating], centre: npt.NDArray[np.floating] | None) -> Floats:
    # Less the centre, of length 1; a row without a direction is 0.
    units = np.array(features, dtype=np.float32)
    before = np.linalg.norm(units, axis=1)
    if centre is not None:
        units -= centre.astype(np.float32)
    after = np.linalg.norm(units, axis=1)
    if not np.isfinite(after).all():
        row = int(np.flatnonzero(~np.isfinite(after))[0])
        raise LearningError(f"Features of row {row} hold a NaN or infinite value: compute them again.")
    units *= np.divide(1, after, out=np.zeros_like(after), where=after > ROUNDING * before)[:, None]
    return units


def _near_pairs(
    left: Floats, right: Floats, least_cosine: float, group: Rows | None = None
) -> Iterator[tuple[Rows, Rows, Floats]]:
    """All near pairs with their cosines, some at a time; not those of one group, as `group` stands then."""
    if not (len(left) and len(right)):
        return
    some = left[np.unique(np.linspace(0, len(left) - 1, AXES_SAMPLE).astype(np.int64))]
    middle = some.mean(axis=0)
    some = some - middle
    axes = np.ascontiguousarray(np.linalg.eigh(some.T @ some)[1][:, -AXES:])
    # x.y - |x|^2/2 - |y|^2/2 = -|x - y|^2/2, so one product with two more columns compares a whole tile.
    (rows, half), (columns, other_half) = (_sketch(side, middle, axes) for side in (left, right))
    rows = np.column_stack([rows, -half, np.ones_like(half)])
    columns = np.column_stack([columns, np.ones_like(other_half), -other_half])
    least = least_cosine - 1 - SLACK / 2
    for start, first in product(range(0, len(left), TILE_ROWS), range(0, len(right), TILE_COLUMNS)):
        own, tile = slice(start, start + TILE_ROWS), slice(first, first + TILE_COLUMNS)
        # Within one matrix a tile before the rows has been compared the other way round; and where all photos
        # look alike, nearly all tiles are of one group.
        if group is not None and (
            tile.stop <= start or ((group[own] == group[start]).all() and (group[tile] == group[start]).all())
        ):
            continue
        i, j = np.nonzero(rows[own] @ columns[tile].T > least)
        for piece in range(0, len(i), CHECKED_AT_ONCE):
            one = i[piece : piece + CHECKED_AT_ONCE] + start
            two = j[piece : piece + CHECKED_AT_ONCE] + first
            if group is not None:
                apart = group[one] != group[two]
                one, two = one[apart], two[apart]
            cosine: Floats = np.einsum("ij,ij->i", left[one], right[two])
            cosine[~left[one].any(axis=1) & ~right[two].any(axis=1)] = 1
            near = cosine > least_cosine
            if near.any():
                yield one[near], two[near], cosine[near]


def _sketch(units: Floats, middle: Floats, axes: Floats) -> tuple[Floats, Floats]:
    # Rows by few coordinates and the length of what is left, [N, K + 1]; half the square of their length.
    coordinates = np.empty((len(units), axes.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(units), AXES_SAMPLE):
        piece = slice(start, start + AXES_SAMPLE)
        rest = units[piece] - middle
        coordinates[piece, :-1] = rest @ axes
        rest -= coordinates[piece, :-1] @ axes.T
        coordinates[piece, -1] = np.linalg.norm(rest, axis=1)
    return coordinates, np.einsum("ij,ij->i", coordinates, coordinates) / 2
