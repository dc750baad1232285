"""Batches made ahead of the model, in order, by threads or by processes."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, cast

from snake_assets.storage.errors import StorageError
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.reading import BatchReader, Looked, PhotoBatch, Pixels
from snake_assets.vision.subjects import Subject


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
