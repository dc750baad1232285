"""Files of a folder that appear whole or not at all, and the lock that keeps writers apart."""

import fcntl
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from snake_assets.storage import StorageError

LOCK = "_lock"


class CountedFile(io.RawIOBase):
    """Hands on what is written; its size and digest are then known without reading it again."""

    def __init__(self, file: IO[bytes]) -> None:
        self.size = 0
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256, as hex, of the bytes written so far."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Write all of `data`."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)


@contextmanager
def whole_file(path: Path) -> Iterator[CountedFile]:
    """Open a file for writing aside; on leaving without an error it is synced and renamed to `path`.

    Raises:
        StorageError: the disk is full, the folder is read-only, or another fault of the file system.
    """
    # By chance: in containers that share a disk, process numbers are the same.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with faults_named(path):
        try:
            _make_folder(path.parent)
            with aside.open("wb") as file:
                yield CountedFile(file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises StorageError as `whole_file` does."""
    with whole_file(path) as file:
        file.write(data)


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
