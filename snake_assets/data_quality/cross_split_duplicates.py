"""Photos that stand in two splits, as the same file or nearly so, found with little in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.data_quality.findings import Findings
from snake_assets.learning.near_duplicates import near_duplicates
from snake_assets.storage.tables.table import Table

# Rows of the larger split that are in memory at once.
PIECE_ROWS = 32_768
# Of one piece: a backbone that hardly tells photos apart would have them by the million.
MOST_PAIRS = 10_000


@dataclass(frozen=True)
class _Piece:
    image_id: list[str]
    sha256: list[str]
    cls: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Partner:
    image_id: str
    cosine: float
    exact: bool

    def describe(self) -> str:
        return "the same file" if self.exact else f"nearly the same, cosine {self.cosine:.4f}"


def copies_between(table: Table, other: Table, least_cosine: float) -> Findings:
    """Photos of `other` that stand in `table` too: equal digests, or CLS tokens with a high cosine.

    The mean of `table`'s CLS tokens is subtracted first, as in the validation report. A photo is named once,
    with the same file if there is one, else with the photo that it most resembles; the same files come first.

    Args:
        table: `dinov2_embeddings` of one split, which is streamed.
        other: that of another split; its CLS tokens are in memory, N x D x 4 bytes.
        least_cosine: above it photos are nearly the same; 0 or more and below 1.

    Raises:
        StorageError: a shard cannot be read.
        LearningError: CLS tokens of other dims, or a value that is not finite.
    """
    asked = _joined(list(_pieces(other)))
    partners: dict[int, _Partner] = {}
    truncated = False
    centre = _mean_cls(table)
    for piece in _pieces(table):
        truncated |= _look(piece, asked, centre, least_cosine, partners)
    splits = (other.manifest.split, table.manifest.split)
    best_first = sorted(partners.items(), key=lambda item: (not item[1].exact, -item[1].cosine, item[0]))
    exact = sum(partner.exact for partner in partners.values())
    return Findings(
        [
            f"{asked.image_id[row]} of {splits[0]}, {partner.image_id} of {splits[1]}: {partner.describe()}"
            for row, partner in best_first
        ],
        {
            f"photos of {splits[0]}": len(asked.image_id),
            "the same file": exact,
            "nearly the same": f"{len(partners) - exact}{' or more' if truncated else ''}",
        },
        f"photos of {splits[0]} that stand in {splits[1]} too: {len(partners)}, as the same file: {exact}",
    )


def _look(
    piece: _Piece,
    asked: _Piece,
    centre: npt.NDArray[np.float32],
    least_cosine: float,
    partners: dict[int, _Partner],
) -> bool:
    """Note the best partners in one piece; returns whether there were more pairs than are looked through."""
    near = near_duplicates(asked.cls, least_cosine, piece.cls, centre, MOST_PAIRS)
    for (row, at), cosine in zip(near.pairs.tolist(), near.cosine.tolist(), strict=True):
        before = partners.get(row)
        if before is None or (not before.exact and before.cosine < cosine):
            partners[row] = _Partner(piece.image_id[at], cosine, exact=False)
    first_with = dict(zip(reversed(piece.sha256), reversed(piece.image_id), strict=True))
    for row, digest in enumerate(asked.sha256):
        if digest in first_with and not (row in partners and partners[row].exact):
            partners[row] = _Partner(first_with[digest], 1.0, exact=True)
    return near.truncated


def _pieces(table: Table) -> Iterator[_Piece]:
    waiting: list[_Piece] = []
    for shard in table.manifest.shards:
        rows = table.read_shard(shard, ["image_id", "sha256", "embedding"])
        cls = rows["embedding"].combine_chunks()
        waiting.append(
            _Piece(
                rows["image_id"].to_pylist(),
                rows["sha256"].to_pylist(),
                np.asarray(cls.flatten()).reshape(len(rows), cls.type.list_size),
            )
        )
        if sum(len(piece.image_id) for piece in waiting) >= PIECE_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(pieces: list[_Piece]) -> _Piece:
    return _Piece(
        [name for piece in pieces for name in piece.image_id],
        [digest for piece in pieces for digest in piece.sha256],
        np.vstack([piece.cls for piece in pieces]),
    )


def _mean_cls(table: Table) -> npt.NDArray[np.float32]:
    total, rows = 0.0, 0
    for piece in _pieces(table):
        total = total + piece.cls.sum(axis=0, dtype=np.float64)
        rows += len(piece.image_id)
    return np.asarray(total / max(1, rows), dtype=np.float32)
