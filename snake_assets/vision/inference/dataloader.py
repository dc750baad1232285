"""The data loader: batches of photos read, decoded and resized ahead of the model, by threads or processes.

A batch never crosses a shard, and batches come in the order of their plans.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from snake_assets.storage import StorageError
from snake_assets.storage.tables.manifest import Reject, Shard
from snake_assets.vision.errors import EmbeddingError, UnreadablePhoto
from snake_assets.vision.inference.dataset import BatchPlan, Photo, PhotoDataset
from snake_assets.vision.preprocessing.regions import Region

if TYPE_CHECKING:
    import torch

Pixels = TypeVar("Pixels")
Pixels_co = TypeVar("Pixels_co", covariant=True)

# Stages of a pass, by which its time is told; a photo is resized where it is decoded.
READING, DECODING = "reading", "decoding"


class Preparation(Protocol[Pixels_co]):
    """How photos are made ready for a model. It goes to other processes, and is asked by several threads."""

    def prepared(self, data: bytes, region: Region) -> NDArray[np.uint8]:
        """One photo, or the part of it that is wanted, uint8 [h, w, 3]. Raises UnreadablePhoto."""

    def together(self, photos: Sequence[NDArray[np.uint8]]) -> Pixels_co:
        """The pixels of a batch, which may be empty, as the model takes them."""


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
class Decoded:
    """A photo by its names, what its decoding came to, and the seconds that took."""

    image_id: str
    known_by: str
    found: NDArray[np.uint8] | UnreadablePhoto
    seconds: float


Each = Callable[[Callable[[Photo], Decoded], Iterable[Photo]], Iterable[Decoded]]


@dataclass(frozen=True)
class BatchReader(Generic[Pixels]):
    """Makes batches, in any order and from any process: item i is the batch of plan i.

    Attributes:
        dataset: what is read.
        preparation: makes it ready.
        plans: of the batches.

    Raises:
        StorageError: a shard cannot be read.
    """

    dataset: PhotoDataset
    preparation: Preparation[Pixels]
    plans: Sequence[BatchPlan]

    def __len__(self) -> int:
        """How many batches."""
        return len(self.plans)

    def __getitem__(self, number: int) -> PhotoBatch[Pixels]:
        """Read a batch's rows, decode and resize them one after the other."""
        return self.batch(number, map)

    def batch(self, number: int, each: Each) -> PhotoBatch[Pixels]:
        """As item `number`; `each` is `map`, or that of a pool, which shares the photos out."""
        plan = self.plans[number]
        seconds = {READING: 0.0, DECODING: 0.0}
        pixels = []
        digests: list[str] = []
        rejects: dict[str, Reject] = {}
        for one in each(self._decoded, self._read(plan, seconds)):
            seconds[DECODING] += one.seconds
            if isinstance(one.found, UnreadablePhoto):
                rejects[one.known_by] = Reject(one.image_id, one.found.reason, one.found.detail)
            else:
                pixels.append(one.found)
                digests.append(one.known_by)
        return PhotoBatch(plan.shard, digests, self.preparation.together(pixels), rejects, seconds)

    def _read(self, plan: BatchPlan, seconds: dict[str, float]) -> Iterator[Photo]:
        photos = self.dataset.read(plan.shard, plan.rows) if plan.rows else iter(())
        while True:
            began = time.perf_counter()
            photo = next(photos, None)
            seconds[READING] += time.perf_counter() - began
            if photo is None:
                return
            yield photo

    def _decoded(self, photo: Photo) -> Decoded:
        began = time.perf_counter()
        found: NDArray[np.uint8] | UnreadablePhoto
        try:
            found = self.preparation.prepared(photo.data, photo.region)
        except UnreadablePhoto as fault:
            found = fault
        return Decoded(photo.image_id, photo.known_by, found, time.perf_counter() - began)


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
    """

    def each(decode: Callable[[Photo], Decoded], photos: Iterable[Photo]) -> Iterator[Decoded]:
        # Not `map` of the pool: that would take all photos of a batch into memory at once.
        decoding: deque[Future[Decoded]] = deque()
        for photo in photos:
            decoding.append(decoders.submit(decode, photo))
            if len(decoding) > workers:
                yield decoding.popleft().result()
        while decoding:
            yield decoding.popleft().result()

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
    ready meanwhile. Pixels come through shared memory: `workers` x `ahead` batches must fit into it
    (/dev/shm on Linux).

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
        file = Path(folder) / "reader.pickle"
        file.write_bytes(pickle.dumps(reader))
        loader: DataLoader[PhotoBatch[Pixels]] = DataLoader(
            # Asked for its length and items only.
            cast("Dataset[PhotoBatch[Pixels]]", _InFile(file, len(reader))),
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


@dataclass(frozen=True)
class _InFile:
    """A reader in a file, where each process fetches it.

    Of the plans of 180,000 photos a pipe holds but a part (64 kB): sent through it, each process would be
    waited for until it has imported what it needs, which takes seconds, before the next is started.
    """

    file: Path
    batches: int

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, number: int) -> PhotoBatch[object]:
        return self._reader[number]

    @cached_property
    def _reader(self) -> BatchReader[object]:
        return cast("BatchReader[object]", pickle.loads(self.file.read_bytes()))  # noqa: S301
