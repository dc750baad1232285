"""Photos of a table read, decoded and resized, batch by batch; a batch never crosses a shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from snake_assets.storage.manifest import Reject, Shard
from snake_assets.vision.preparation import Preparation, Prepared
from snake_assets.vision.room import Room, unbounded
from snake_assets.vision.stages import DECODING, READING, RESIZING
from snake_assets.vision.subjects import Subject, Subjects
from snake_assets.vision.unreadable import UnreadablePhoto

if TYPE_CHECKING:
    import torch

Pixels = TypeVar("Pixels")


@dataclass(frozen=True)
class BatchPlan:
    """The photos of a batch: row numbers of one shard, ascending; none where a shard needs no photo seen."""

    shard: Shard
    rows: tuple[int, ...]


@dataclass(frozen=True)
class PhotoBatch(Generic[Pixels]):
    """Decoded photos of one shard.

    Attributes:
        shard: where they are from.
        digests: what the B photos in `pixels` are known by.
        pixels: of them, as their preparation puts them together, in main memory.
        rejects: what could not be decoded, likewise.
        seconds: of work by stage.
    """

    shard: Shard
    digests: list[str]
    pixels: Pixels
    rejects: dict[str, Reject]
    seconds: Mapping[str, float]

    def pin_memory(self: PhotoBatch[torch.Tensor]) -> PhotoBatch[torch.Tensor]:
        """The same with its pixels where a CUDA device can fetch them by itself."""
        return replace(self, pixels=self.pixels.pin_memory())


@dataclass(frozen=True)
class Looked:
    """A photo by its names, and what its decoding came to."""

    image_id: str
    known_by: str
    found: Prepared | UnreadablePhoto


Each = Callable[[Callable[[Subject], Looked], Iterable[Subject]], Iterable[Looked]]


@dataclass(frozen=True)
class BatchReader(Generic[Pixels]):
    """Makes batches, in any order and from any process: item i is the batch of plan i.

    Attributes:
        subjects: what is read.
        preparation: makes it ready.
        plans: of the batches.
        room: that its photos share while they are decoded; None for no bound. It stays in this process.

    Raises:
        StorageError: a shard cannot be read.
        MemoryCeilingError: a photo does not fit into the room.
    """

    subjects: Subjects
    preparation: Preparation[Pixels]
    plans: Sequence[BatchPlan]
    room: Room | None = None

    def __len__(self) -> int:
        """How many batches."""
        return len(self.plans)

    def __getitem__(self, number: int) -> PhotoBatch[Pixels]:
        """Read a batch's rows, decode and resize them one after the other."""
        return self.batch(number, map)

    def batch(self, number: int, each: Each) -> PhotoBatch[Pixels]:
        """As item `number`; `each` is `map`, or that of a pool, which shares the photos out."""
        plan = self.plans[number]
        seconds = {READING: 0.0, DECODING: 0.0, RESIZING: 0.0}
        pixels = []
        digests: list[str] = []
        rejects: dict[str, Reject] = {}
        for photo in each(self._looked, self._read(plan, seconds)):
            if isinstance(photo.found, UnreadablePhoto):
                rejects[photo.known_by] = Reject(photo.image_id, photo.found.reason, photo.found.detail)
                continue
            pixels.append(photo.found.pixels)
            digests.append(photo.known_by)
            seconds[DECODING] += photo.found.decoding
            seconds[RESIZING] += photo.found.resizing
        return PhotoBatch(plan.shard, digests, self.preparation.together(pixels), rejects, seconds)

    def _read(self, plan: BatchPlan, seconds: dict[str, float]) -> Iterator[Subject]:
        photos = self.subjects.read(plan.shard, plan.rows) if plan.rows else iter(())
        while True:
            began = time.perf_counter()
            photo = next(photos, None)
            seconds[READING] += time.perf_counter() - began
            if photo is None:
                return
            yield photo

    def _looked(self, photo: Subject) -> Looked:
        with self.room.for_a_photo(photo.image_id) if self.room else nullcontext(unbounded) as take:
            try:
                found: Prepared | UnreadablePhoto = self.preparation.prepared(photo.data, photo.region, take)
            except UnreadablePhoto as fault:
                found = fault
            return Looked(photo.image_id, photo.known_by, found)


def plan_batches(
    subjects: Subjects, shards: Sequence[Shard], known: Callable[[str], bool], batch_size: int
) -> list[BatchPlan]:
    """Batches of the photos that are not known, each content once; every shard has one batch at least.

    Args:
        subjects: what there is to see.
        shards: those to go through.
        known: whether what is known by a digest needs no look.
        batch_size: photos in a batch; only the last of a shard has fewer.

    Raises:
        StorageError: a shard cannot be read.
    """
    plans: list[BatchPlan] = []
    seen: set[str] = set()
    for shard in shards:
        rows: list[int] = []
        for row, digest in enumerate(subjects.keys(shard)[subjects.known_by].to_pylist()):
            if digest not in seen and not known(digest):
                seen.add(digest)
                rows.append(row)
        starts = range(0, max(1, len(rows)), batch_size)
        plans += [BatchPlan(shard, tuple(rows[start : start + batch_size])) for start in starts]
    return plans
