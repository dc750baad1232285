"""Photos that are nearly the same, by the cosine of their features less a centre.

What all photos share says nothing: with the mean of the features subtracted, even a backbone that was
never trained sets photos apart. The search is exact. For vectors of length 1, |x - y|^2 = 2 - 2 cos, and no
distance grows by projection: vectors are compared by 24 coordinates and by how long the rest of them is, and
only the pairs that are near enough by those are looked at whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

# The axes are found on a sample; any are right, good ones are quick.
AXES, AXES_SAMPLE = 24, 8192
# One tile of comparisons, 10 MB.
TILE_ROWS, TILE_COLUMNS = 512, 4096
CHECKED_AT_ONCE = 8192
# More than float32 loses of a squared distance between unit vectors.
SLACK = 2e-5
# Rounding leaves this share of a vector's length when its like is subtracted: no direction to speak of.
ROUNDING = 1e-6

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Pairs of rows that are nearly the same.

    Attributes:
        pairs: row numbers, int64 [P, 2], ascending: i < j within one matrix, else (row, row of `other`).
        cosine: of each pair, float32 [P].
        truncated: there may be more pairs than were asked for; those here are the first that were found.
    """

    pairs: Rows
    cosine: Floats
    truncated: bool


def near_duplicates(
    features: npt.NDArray[np.floating],
    least_cosine: float = 0.99,
    other: npt.NDArray[np.floating] | None = None,
    centre: npt.NDArray[np.floating] | None = None,
    most_pairs: int = 100_000,
) -> NearDuplicates:
    """All pairs of rows with a cosine above `least_cosine`, within `features` or between them and `other`.

    Two rows without a direction (all zeros, or equal to the centre) are a pair; one of them and any other
    row are not.

    Args:
        features: [N, D].
        least_cosine: 0 or more and below 1.
        other: [M, D]; None looks for pairs within `features`.
        centre: subtracted from all rows first, [D]; None subtracts nothing.
        most_pairs: the search ends when there are as many.

    Raises:
        LearningError: matrices that do not fit, a value that is NaN or infinite.
    """
    left = unit_rows(features, centre)
    right = left if other is None else unit_rows(other, centre)
    if left.shape[1] != right.shape[1]:
        raise LearningError(f"Rows of {left.shape[1]} and of {right.shape[1]} dims cannot be compared.")
    found = [(np.empty((0, 2), np.int64), np.empty(0, np.float32))]
    pairs = 0
    for i, j, cosine in _near_pairs(left, right, least_cosine, None):
        found.append((np.column_stack([i, j]), cosine))
        pairs += len(i)
        if pairs > most_pairs:
            break
    both, cosines = (np.concatenate(parts)[:most_pairs] for parts in zip(*found, strict=True))
    if other is None:
        both.sort(axis=1)
    order = np.lexsort((both[:, 1], both[:, 0]))
    return NearDuplicates(both[order], cosines[order], pairs > most_pairs)


def duplicate_groups(
    features: npt.NDArray[np.floating],
    least_cosine: float = 0.99,
    centre: npt.NDArray[np.floating] | None = None,
) -> Rows:
    """Groups of rows that are nearly the same, directly or through others: int64 [N], 0, 1, ... by first row.

    However many pairs there are, they are never all in memory. Arguments and errors as in `near_duplicates`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    units = unit_rows(features, centre)
    group = np.arange(len(units))
    for i, j, _ in _near_pairs(units, units, least_cosine, group):
        # Every group takes the lowest number that it is joined to.
        joined, ends = np.unique(np.concatenate([group[i], group[j]]), return_inverse=True)
        edges = (np.ones(len(i), dtype=np.int8), (ends[: len(i)], ends[len(i) :]))
        _, component = connected_components(coo_array(edges, shape=2 * (len(joined),)), directed=False)
        renamed = np.arange(len(group))
        renamed[joined] = joined[np.unique(component, return_index=True)[1]][component]
        group[:] = renamed[group]
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def unit_rows(features: npt.NDArray[np.floating], centre: npt.NDArray[np.floating] | None = None) -> Floats:
    """Features [N, D] less a centre [D] as vectors of length 1, float32; a row without a direction is 0.

    Raises:
        LearningError: a value that is NaN or infinite.
    """
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
    left: Floats, right: Floats, least_cosine: float, group: Rows | None
) -> Iterator[tuple[Rows, Rows, Floats]]:
    """All near pairs with their cosines, some at a time; not those of one group, as `group` stands then."""
    if not (len(left) and len(right)):
        return
    some = left[np.unique(np.linspace(0, len(left) - 1, AXES_SAMPLE).astype(np.int64))]
    middle = some.mean(axis=0)
    some = some - middle
    axes = np.ascontiguousarray(np.linalg.eigh(some.T @ some)[1][:, ::-1][:, :AXES])
    row, rows = _sketch(left, middle, axes)
    column, columns = (row, rows) if right is left else _sketch(right, middle, axes)
    squared = 2 * (1 - least_cosine) + SLACK
    # x.y - |x|^2/2 - |y|^2/2 = -|x - y|^2/2, so one product with two more columns compares a whole tile.
    halves = [np.einsum("ij,ij->i", side, side) / 2 for side in (rows, columns)]
    row_side = np.column_stack([rows, -halves[0], np.ones_like(halves[0])])
    column_side = np.column_stack([columns, np.ones_like(halves[1]), -halves[1]])
    for start in range(0, len(left), TILE_ROWS):
        own = slice(start, min(start + TILE_ROWS, len(left)))
        ends = rows[own.start, 0] - squared**0.5, rows[own.stop - 1, 0] + squared**0.5
        low, high = (int(end) for end in np.searchsorted(columns[:, 0], ends))
        for first in range(start if right is left else low, high, TILE_COLUMNS):
            tile = slice(first, min(first + TILE_COLUMNS, high))
            i, j = row[own], column[tile]
            # Where all photos look alike, nearly all tiles are of one group.
            if group is not None and (group[i] == group[i[0]]).all() and (group[j] == group[i[0]]).all():
                continue
            from_row, to_column = np.nonzero(row_side[own] @ column_side[tile].T > -squared / 2)
            if right is left:
                once = from_row + own.start < to_column + tile.start
                from_row, to_column = from_row[once], to_column[once]
            for piece in range(0, len(from_row), CHECKED_AT_ONCE):
                here = slice(piece, piece + CHECKED_AT_ONCE)
                one, two = i[from_row[here]], j[to_column[here]]
                if group is not None:
                    apart = group[one] != group[two]
                    one, two = one[apart], two[apart]
                cosine: Floats = np.einsum("ij,ij->i", left[one], right[two])
                cosine[~left[one].any(axis=1) & ~right[two].any(axis=1)] = 1
                near = cosine > least_cosine
                if near.any():
                    yield one[near], two[near], cosine[near]


def _sketch(units: Floats, middle: Floats, axes: Floats) -> tuple[Rows, Floats]:
    # Rows by few coordinates and the length of what is left, [N, K + 1], sorted by the first of them.
    coordinates = np.empty((len(units), axes.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(units), AXES_SAMPLE):
        piece = slice(start, start + AXES_SAMPLE)
        rest = units[piece] - middle
        coordinates[piece, :-1] = rest @ axes
        rest -= coordinates[piece, :-1] @ axes.T
        coordinates[piece, -1] = np.linalg.norm(rest, axis=1)
    order = np.argsort(coordinates[:, 0], kind="stable")
    return order, coordinates[order]
