"""Photos that stand in two splits, as the same file or nearly so, found with little in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from snake_assets.data_quality.findings import Findings
from snake_assets.data_quality.vectors import Vectors, vectors_in
from snake_assets.learning.cross_validation.near_duplicates import near_duplicates
from snake_assets.storage.tables.table import Table

COLUMNS = ["image_id", "sha256", "embedding"]
# Rows of the larger split that are in memory at once.
PIECE_ROWS = 32_768
# Of one piece: a backbone that hardly tells photos apart would have them by the million.
MOST_PAIRS = 10_000


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
    asked = other.read(COLUMNS)
    names, digests, cls = asked["image_id"].to_pylist(), asked["sha256"].to_pylist(), _cls(asked)
    partners: dict[int, _Partner] = {}
    truncated = False
    centre = _mean_cls(table)
    for piece in _pieces(table):
        near = near_duplicates(cls, _cls(piece), least_cosine, centre, MOST_PAIRS)
        truncated |= near.truncated
        theirs = piece["image_id"].to_pylist()
        for (row, at), cosine in zip(near.pairs.tolist(), near.cosine.tolist(), strict=True):
            if row not in partners or partners[row].cosine < cosine:
                partners[row] = _Partner(theirs[at], cosine, exact=False)
        first_with = dict(zip(reversed(piece["sha256"].to_pylist()), reversed(theirs), strict=True))
        for row, digest in enumerate(digests):
            if digest in first_with and not (row in partners and partners[row].exact):
                partners[row] = _Partner(first_with[digest], np.inf, exact=True)
    splits = (other.manifest.split, table.manifest.split)
    best_first = sorted(partners.items(), key=lambda item: (-item[1].cosine, item[0]))
    exact = sum(partner.exact for partner in partners.values())
    return Findings(
        [
            f"{names[row]} of {splits[0]}, {partner.image_id} of {splits[1]}: {partner.describe()}"
            for row, partner in best_first
        ],
        {
            f"photos of {splits[0]}": len(names),
            "the same file": exact,
            "nearly the same": f"{len(partners) - exact}{' or more' if truncated else ''}",
        },
        f"photos of {splits[0]} that stand in {splits[1]} too: {len(partners)}, as the same file: {exact}",
    )


def _pieces(table: Table) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for shard in table.manifest.shards:
        waiting.append(table.read_shard(shard, COLUMNS))
        if sum(map(len, waiting)) >= PIECE_ROWS or shard is table.manifest.shards[-1]:
            yield pa.concat_tables(waiting)
            waiting = []


def _cls(rows: pa.Table) -> Vectors:
    return vectors_in(rows["embedding"])


def _mean_cls(table: Table) -> Vectors:
    sums = [_cls(piece).sum(axis=0, dtype=np.float64) for piece in _pieces(table)]
    return np.asarray(np.sum(sums, axis=0) / max(1, table.manifest.rows_out), dtype=np.float32)
