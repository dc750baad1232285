"""Photos of a table read, decoded and resized, batch by batch; a batch never crosses a shard."""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from snake_assets.storage.errors import StorageError
from snake_assets.storage.tables.manifest import Reject, Shard
from snake_assets.vision.decoding.errors import UnreadablePhoto
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.inference.dataset import Subject, Subjects
from snake_assets.vision.preprocessing.inputs import Preparation, Prepared
from snake_assets.vision.room import Room, unbounded
from snake_assets.vision.timing import DECODING, READING, RESIZING

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


# Batches made ahead of the model, in order, by threads or by processes.


def read_in_threads(reader: BatchReader[Pixels], workers: int, batches: int) -> Generator[PhotoBatch[Pixels]]:
    """All batches of a reader, in order. Decoding holds no lock of the interpreter: a few threads do scale.

    The threads share out each batch: where a model computes on the same processor, all its threads are then
    disturbed alike, and none waits for another.

    Args:
        reader: makes the batches.
        workers: threads that decode.
        batches: that may be under way, wait, or be with whoever takes them; 1 or more.

    Raises:
        StorageError: a shard cannot be read.
        MemoryCeilingError: a photo does not fit into the reader's room.
    """

    def each(look: Callable[[Subject], Looked], photos: Iterable[Subject]) -> Iterator[Looked]:
        # Not `map` of the pool: that would take all photos of a batch into memory at once.
        looking: deque[Future[Looked]] = deque()
        for photo in photos:
            looking.append(decoders.submit(look, photo))
            if len(looking) > workers:
                yield looking.popleft().result()
        while looking:
            yield looking.popleft().result()

    waiting: deque[Future[PhotoBatch[Pixels]]] = deque()
    with ThreadPoolExecutor(1, "read") as readers, ThreadPoolExecutor(workers, "decode") as decoders:
        try:
            for number in range(len(reader)):
                waiting.append(readers.submit(reader.batch, number, each))
                if len(waiting) >= batches:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            readers.shutdown(cancel_futures=True)


def read_in_processes(
    reader: BatchReader[Pixels], workers: int, ahead: int, *, pinned: bool
) -> Generator[PhotoBatch[Pixels]]:
    """As `read_in_threads`, by processes that are spawned: nothing of CUDA, and no lock, is inherited.

    They are started by the call, not by the first look at a batch: whoever is to see the batches can get
    ready meanwhile. The reader has no room: processes share none.

    Pixels come through shared memory: `workers` x `ahead` batches must fit into it (/dev/shm on Linux).

    Args:
        reader: makes the batches.
        workers: processes.
        ahead: batches for each of them that may be under way or wait.
        pinned: whether pixels are copied to where a CUDA device can fetch them by itself.

    Raises:
        StorageError: a shard cannot be read.
        EmbeddingError: a process ended before its time.
    """
    batches = _from_processes(reader, workers, ahead, pinned)
    next(batches)
    return cast("Generator[PhotoBatch[Pixels]]", batches)


def _from_processes(
    reader: BatchReader[Pixels], workers: int, ahead: int, pinned: bool
) -> Generator[PhotoBatch[Pixels] | None]:
    """None once the processes are started, then the batches."""
    from torch.utils.data import DataLoader, Dataset

    with TemporaryDirectory(prefix="snake_assets_reader_") as folder:
        kept = _Kept.written(reader, Path(folder) / "reader.pickle")
        loader: DataLoader[PhotoBatch[Pixels]] = DataLoader(
            cast("Dataset[PhotoBatch[Pixels]]", kept),  # length and items are all that it asks for
            batch_size=None,
            num_workers=workers,
            prefetch_factor=ahead,
            multiprocessing_context="spawn",
            pin_memory=pinned,
        )
        batches = iter(loader)
        try:
            yield None
            yield from batches
        except StorageError:
            raise
        except RuntimeError as error:
            raise EmbeddingError(
                f"A process that decodes photos failed: {error} Where memory ran out, lower `decoders`, "
                "`read_ahead` or `batch_size` (their batches must fit into /dev/shm, in a container "
                "--shm-size); run again: shards that are finished are kept."
            ) from error
        finally:
            del batches  # which ends the processes, before their file goes


class _Kept(Generic[Pixels]):
    """A reader in a file, where each process fetches it.

    Of the plans of 180,000 photos a pipe holds but a part (64 kB): sent through it, each process would be
    waited for until it has imported what it needs, which takes seconds, before the next is started.
    """

    def __init__(self, file: Path, batches: int) -> None:
        self._file, self._batches = file, batches

    @classmethod
    def written(cls, reader: BatchReader[Pixels], file: Path) -> _Kept[Pixels]:
        file.write_bytes(pickle.dumps(reader))
        return cls(file, len(reader))

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, number: int) -> PhotoBatch[Pixels]:
        return self._reader[number]

    @cached_property
    def _reader(self) -> BatchReader[Pixels]:
        return cast("BatchReader[Pixels]", pickle.loads(self._file.read_bytes()))  # noqa: S301
