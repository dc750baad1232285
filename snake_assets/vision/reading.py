"""Photos of a table read, decoded and resized, batch by batch; a batch never crosses a shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from snake_assets.storage.manifest import Reject, Shard
from snake_assets.storage.tables import Table
from snake_assets.vision.photos import UnreadablePhoto, decode
from snake_assets.vision.preprocessing import Preprocessing
from snake_assets.vision.stages import DECODING, READING, RESIZING

if TYPE_CHECKING:
    import torch

DIGEST = "sha256"
PHOTO_COLUMNS = ["image_id", DIGEST, "image"]


@dataclass(frozen=True)
class BatchPlan:
    """The photos of a batch: row numbers of one shard, ascending; none where a shard needs no photo seen."""

    shard: Shard
    rows: tuple[int, ...]


@dataclass(frozen=True)
class PhotoBatch:
    """Decoded photos of one shard.

    Attributes:
        shard: where they are from.
        digests: of the B photos in `pixels`.
        pixels: uint8 [B, h, w, 3] in main memory, at the backbone's input size.
        rejects: what could not be decoded, by digest.
        seconds: of work by stage.
    """

    shard: Shard
    digests: list[str]
    pixels: torch.Tensor
    rejects: dict[str, Reject]
    seconds: Mapping[str, float]

    def pin_memory(self) -> PhotoBatch:
        """The same with its pixels where a CUDA device can fetch them by itself."""
        return replace(self, pixels=self.pixels.pin_memory())


@dataclass(frozen=True)
class BatchReader:
    """Makes batches, in any order and from any process: item i is the batch of plan i.

    Raises:
        StorageError: a shard cannot be read.
    """

    images: Table
    preprocessing: Preprocessing
    plans: Sequence[BatchPlan]

    def __len__(self) -> int:
        """How many batches."""
        return len(self.plans)

    def __getitem__(self, number: int) -> PhotoBatch:
        """Read a batch's rows, decode and resize them."""
        import torch

        plan = self.plans[number]
        height, width = self.preprocessing.input_size
        pixels = np.empty((len(plan.rows), height, width, 3), dtype=np.uint8)
        digests: list[str] = []
        rejects: dict[str, Reject] = {}
        seconds = {READING: -time.perf_counter(), DECODING: 0.0, RESIZING: 0.0}
        columns = self.images.rows(plan.shard, plan.rows, PHOTO_COLUMNS).columns if plan.rows else []
        seconds[READING] += time.perf_counter()
        for image_id, digest, data in zip(*(column.to_pylist() for column in columns), strict=True):
            began = time.perf_counter()
            try:
                photo = decode(data, at_least=self.preprocessing.needed_side)
            except UnreadablePhoto as fault:
                rejects[digest] = Reject(image_id, fault.reason, fault.detail)
                continue
            decoded = time.perf_counter()
            pixels[len(digests)] = self.preprocessing.resized(photo)
            digests.append(digest)
            seconds[DECODING] += decoded - began
            seconds[RESIZING] += time.perf_counter() - decoded
        return PhotoBatch(plan.shard, digests, torch.from_numpy(pixels[: len(digests)]), rejects, seconds)


def plan_batches(
    images: Table, shards: Sequence[Shard], known: Callable[[str], bool], batch_size: int
) -> list[BatchPlan]:
    """Batches of the photos that are not known, each content once; every shard has one batch at least.

    Args:
        images: the table.
        shards: those to go through.
        known: whether a digest needs no look.
        batch_size: photos in a batch; only the last of a shard has fewer.

    Raises:
        StorageError: a shard cannot be read.
    """
    plans: list[BatchPlan] = []
    seen: set[str] = set()
    for shard in shards:
        rows: list[int] = []
        for row, digest in enumerate(images.read_shard(shard, [DIGEST])[DIGEST].to_pylist()):
            if digest not in seen and not known(digest):
                seen.add(digest)
                rows.append(row)
        starts = range(0, max(1, len(rows)), batch_size)
        plans += [BatchPlan(shard, tuple(rows[start : start + batch_size])) for start in starts]
    return plans
