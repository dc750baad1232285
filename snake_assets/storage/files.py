"""Files of a folder that appear whole or not at all, and the lock that keeps writers apart."""

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from snake_assets.storage.counted import CountedFile
from snake_assets.storage.errors import StorageError

LOCK = "_lock"
SYNC_EVERY = 4 << 20


class NewFile(CountedFile):
    """A file on its way to the disk.

    Every `SYNC_EVERY` bytes are synced by a thread of their own, so that the disk works while the next ones
    are made, and little is left to wait for at the end.
    """

    def __init__(self, file: IO[bytes], syncer: ThreadPoolExecutor) -> None:
        super().__init__(file)
        self._syncer = syncer
        self._sync_at = SYNC_EVERY
        self._syncing: Future[None] | None = None

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Write all of `data`."""
        super().write(data)
        if self.size >= self._sync_at and (self._syncing is None or self._syncing.done()):
            self._wait()
            self._file.flush()
            self._syncing = self._syncer.submit(os.fsync, self._file.fileno())
            self._sync_at = self.size + SYNC_EVERY
        return len(data)

    def sync(self) -> None:
        """Return when every byte is on the disk. Raises OSError where one is not."""
        self._wait()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _wait(self) -> None:
        # The kernel tells of a failed write once: what a sync on the way learnt must not be lost.
        if self._syncing is not None:
            self._syncing.result()


@contextmanager
def whole_file(path: Path) -> Iterator[NewFile]:
    """Open a file for writing aside; on leaving without an error it is synced and renamed to `path`.

    Raises:
        StorageError: the disk is full, the folder is read-only, or another fault of the file system.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with faults_named(path):
        try:
            _make_folder(path.parent)
            with aside.open("wb") as file, ThreadPoolExecutor(1, "sync") as syncer:
                new = NewFile(file, syncer)
                yield new
                new.sync()
            aside.replace(path)
            sync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises StorageError as `whole_file` does."""
    with whole_file(path) as file:
        file.write(data)


def append(path: Path, data: bytes) -> None:
    """Add `data` to the end of a file that is there, and sync it; a kill may leave the first part of `data`.

    Raises:
        StorageError: a fault of the file system.
    """
    with faults_named(path), path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that they, too, last through a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Turn faults of the file system into StorageErrors that name `path`, a file or a folder."""
    try:
        yield
    except OSError as error:
        folder = path if path.is_dir() else path.parent
        raise StorageError(
            f"{path} could not be written ({error.strerror or error}). Free space or mend the rights of "
            f"{folder}, then run again: what was committed before is whole and is kept."
        ) from error


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the kernel frees it when the process ends, however it ends.

    Raises:
        StorageError: another process is writing there, or the folder cannot be written.
    """
    try:
        _make_folder(folder)
        lock = (folder / LOCK).open("wb")
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}): set SNAKE_STORE to a folder that can."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                f"Another run is writing {folder}: wait for it to end, then run again."
            ) from None
        yield
