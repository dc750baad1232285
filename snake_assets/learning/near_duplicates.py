"""Photos that are nearly the same, by the cosine of their features.

Whether two cosines differ says how alike photos are only to one backbone. One that was never trained
finds all photos alike; subtracting the mean of the features first (`centre`) leaves what sets them apart.
A trained one tells a photo from its own re-encoded copy. `duplicate_level` measures where copies begin.

The search is exact. For vectors of length 1, |x - y|^2 = 2 - 2 cos, and no distance grows by projection:
vectors are compared by 24 coordinates and by how long the rest of them is, and only the pairs that are
near enough by those are looked at whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.unit_rows import UnitRows, unit_rows

AXES = 24
# Rows that the axes are found on; any axes are right, good ones are quick.
AXES_SAMPLE = 8192
# One tile of comparisons, 10 MB.
TILE_ROWS, TILE_COLUMNS = 512, 4096
CHECKED_AT_ONCE = 8192
# More than float32 loses of a squared distance between unit vectors.
SLACK = 2e-5

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Pairs of rows that are nearly the same.

    Attributes:
        pairs: row numbers, int64 [P, 2], ascending: i < j within one matrix, else (row, row of `other`).
        cosine: of each pair, float32 [P].
        truncated: there may be more pairs than were asked for; those here are the first that were found.
    """

    pairs: Rows
    cosine: npt.NDArray[np.float32]
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
        features: [N, D], finite.
        least_cosine: 0 or more and below 1.
        other: [M, D]; None looks for pairs within `features`.
        centre: subtracted from all rows first, [D]; None subtracts nothing.
        most_pairs: the search ends when there are as many.

    Raises:
        LearningError: matrices that do not fit, a value that is not finite, an impossible `least_cosine`.
    """
    left = unit_rows(features, centre)
    right = left if other is None else unit_rows(other, centre)
    found: list[tuple[Rows, Rows, npt.NDArray[np.float32]]] = []
    pairs = 0
    for i, j in _candidates(left, right, least_cosine, None):
        for start in range(0, len(i), CHECKED_AT_ONCE):
            piece = slice(start, start + CHECKED_AT_ONCE)
            cosine = _cosines(left, right, i[piece], j[piece])
            near = cosine > least_cosine
            found.append((i[piece][near], j[piece][near], cosine[near]))
            pairs += int(near.sum())
            if pairs > most_pairs:
                return _sorted_pairs(found, most_pairs, other is None)
    return _sorted_pairs(found, most_pairs, other is None)


def duplicate_groups(
    features: npt.NDArray[np.floating],
    least_cosine: float = 0.99,
    centre: npt.NDArray[np.floating] | None = None,
) -> Rows:
    """Groups of rows that are nearly the same, directly or through others: int64 [N], 0, 1, ... by first row.

    However many pairs there are, they are never all in memory. Arguments and errors as in `near_duplicates`.
    """
    units = unit_rows(features, centre)
    group = np.arange(len(units))
    for i, j in _candidates(units, units, least_cosine, group):
        for start in range(0, len(i), CHECKED_AT_ONCE):
            piece = slice(start, start + CHECKED_AT_ONCE)
            apart = group[i[piece]] != group[j[piece]]
            left, right = i[piece][apart], j[piece][apart]
            near = _cosines(units, units, left, right) > least_cosine
            if near.any():
                _join(group, left[near], right[near])
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def duplicate_level(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    centre: npt.NDArray[np.floating] | None = None,
    highest: float = 0.99,
    share: float = 0.001,
    sample: int = 2000,
) -> float:
    """The cosine from which on this backbone's photos are taken for copies of each other.

    Photos of two species are not copies. So it is the level that no more than `share` of the photos reach
    with their nearest photo of another species; the `share` is for copies that were labelled differently.

    Args:
        features: [N, D], finite.
        labels: species of each row, [N].
        centre: subtracted from all rows first, [D].
        highest: never above this; it is also the level where there is only one species.
        share: of the photos, 0 to 1.
        sample: how many photos are compared with all others, drawn at random but always the same.

    Returns:
        A cosine of 0 or more.
    """
    units = unit_rows(features, centre)
    if len(np.unique(labels)) < 2:
        return highest
    drawn = np.random.default_rng(0).permutation(len(units))[:sample]
    nearest = np.full(len(drawn), -1.0, dtype=np.float32)
    for row in range(0, len(drawn), TILE_ROWS):
        own = drawn[row : row + TILE_ROWS]
        sampled = units[own]
        for column in range(0, len(units), TILE_COLUMNS):
            tile = slice(column, column + TILE_COLUMNS)
            cosine = sampled @ units[tile].T
            cosine[labels[own][:, None] == labels[tile]] = -1
            np.maximum(nearest[row : row + TILE_ROWS], cosine.max(axis=1), out=nearest[row : row + TILE_ROWS])
    level = float(np.quantile(nearest, 1 - share, method="higher"))
    return min(max(level, 0.0), highest)


@dataclass(frozen=True, eq=False)
class _Sketch:
    """Unit vectors by few coordinates [N, K], sorted by the first; `row` says which row each one is."""

    row: Rows
    coordinates: npt.NDArray[np.float32]

    @property
    def first(self) -> npt.NDArray[np.float32]:
        return self.coordinates[:, 0]

    @property
    def half_squares(self) -> npt.NDArray[np.float32]:
        halves: npt.NDArray[np.float32] = np.einsum("ij,ij->i", self.coordinates, self.coordinates) / 2
        return halves


def _candidates(
    left: UnitRows, right: UnitRows, least_cosine: float, group: Rows | None
) -> Iterator[tuple[Rows, Rows]]:
    # All pairs that may be near, a tile at a time. Pairs of one group, as `group` stands when their tile's
    # turn comes, may be left out: where all photos look alike, that is nearly all of them.
    if not 0 <= least_cosine < 1:
        raise LearningError(f"The least cosine is {least_cosine}; it should be 0 or more and below 1.")
    if left.centre.shape != right.centre.shape:
        raise LearningError(f"Rows of {left.centre.size} and of {right.centre.size} dims cannot be compared.")
    if not (len(left) and len(right)):
        return
    middle, axes = _axes(left)
    rows = _sketch(left, middle, axes)
    columns = rows if right is left else _sketch(right, middle, axes)
    squared = 2 * (1 - least_cosine) + SLACK
    reach = squared**0.5
    # x.y - |x|^2/2 - |y|^2/2 = -|x - y|^2/2, so one product with two more columns compares a whole tile.
    row_side = np.column_stack([rows.coordinates, -rows.half_squares, np.ones_like(rows.first)])
    column_side = np.column_stack([columns.coordinates, np.ones_like(columns.first), -columns.half_squares])
    # Fresh memory for every tile would take longer than to fill it.
    products, nears = (np.empty(TILE_ROWS * TILE_COLUMNS, dtype) for dtype in (np.float32, np.bool_))
    for start in range(0, len(left), TILE_ROWS):
        own = slice(start, min(start + TILE_ROWS, len(left)))
        ends = (rows.first[own.start] - reach, rows.first[own.stop - 1] + reach)
        low, high = np.searchsorted(columns.first, ends)
        for column in range(start if right is left else int(low), int(high), TILE_COLUMNS):
            tile = slice(column, min(column + TILE_COLUMNS, int(high)))
            i, j = rows.row[own], columns.row[tile]
            if group is not None and (group[i] == group[i[0]]).all() and (group[j] == group[i[0]]).all():
                continue
            size = len(i) * len(j)
            np.matmul(row_side[own], column_side[tile].T, out=products[:size].reshape(len(i), len(j)))
            np.greater(products[:size], -squared / 2, out=nears[:size])
            at = np.flatnonzero(nears[:size])
            from_row, to_column = at // len(j), at % len(j)
            if right is left:
                once = from_row + own.start < to_column + tile.start
                from_row, to_column = from_row[once], to_column[once]
            if len(from_row):
                yield i[from_row], j[to_column]


def _axes(units: UnitRows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    # The mean [D] and the leading principal axes [D, K] of rows spread over the matrix.
    some = units[np.unique(np.linspace(0, len(units) - 1, AXES_SAMPLE).astype(np.int64))]
    middle = some.mean(axis=0)
    some -= middle
    _, axes = np.linalg.eigh(some.T @ some)
    return middle, np.ascontiguousarray(axes[:, ::-1][:, :AXES])


def _sketch(units: UnitRows, middle: npt.NDArray[np.float32], axes: npt.NDArray[np.float32]) -> _Sketch:
    coordinates = np.empty((len(units), axes.shape[1] + 1), dtype=np.float32)
    for start in range(0, len(units), AXES_SAMPLE):
        piece = slice(start, start + AXES_SAMPLE)
        rest = units[piece] - middle
        coordinates[piece, :-1] = rest @ axes
        rest -= coordinates[piece, :-1] @ axes.T
        coordinates[piece, -1] = np.linalg.norm(rest, axis=1)
    order = np.argsort(coordinates[:, 0], kind="stable")
    return _Sketch(order, coordinates[order])


def _cosines(left: UnitRows, right: UnitRows, i: Rows, j: Rows) -> npt.NDArray[np.float32]:
    cosine: npt.NDArray[np.float32] = np.einsum("ij,ij->i", left[i], right[j])
    cosine[(left.scale[i] == 0) & (right.scale[j] == 0)] = 1
    return cosine


def _join(group: Rows, left: Rows, right: Rows) -> None:
    # Every group takes the lowest number that it is joined to.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined, ends = np.unique(np.concatenate([group[left], group[right]]), return_inverse=True)
    edges = (np.ones(len(left), dtype=np.int8), (ends[: len(left)], ends[len(left) :]))
    _, component = connected_components(coo_array(edges, shape=(len(joined), len(joined))), directed=False)
    lowest = joined[np.unique(component, return_index=True)[1]][component]
    renamed = np.arange(len(group))
    renamed[joined] = lowest
    group[:] = renamed[group]


def _sorted_pairs(
    found: list[tuple[Rows, Rows, npt.NDArray[np.float32]]], most_pairs: int, within: bool
) -> NearDuplicates:
    if not found:
        return NearDuplicates(np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32), False)
    i, j, cosine = (np.concatenate(parts) for parts in zip(*found, strict=True))
    truncated = len(i) > most_pairs
    pairs = np.column_stack([i, j])[:most_pairs]
    if within:
        pairs.sort(axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return NearDuplicates(pairs[order], cosine[:most_pairs][order], truncated)
