"""An object of a bucket brought to a file, whole or not at all; what was interrupted goes on where it was."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

from snake_assets.storage.bucket_path import BucketPath, Stored
from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import faults_named
from snake_assets.storage.range_reader import RangeReader

PIECE = 8 << 20
ATTEMPTS = 2
# The largest time that a file takes everywhere is beyond this one.
TIMES = 1 << 62


def time_of(stored: Stored) -> int:
    """The time of change, in nanoseconds, of the file that an object becomes, wherever and whenever.

    The generation is the microsecond at which the object was written, and another for whatever is written.
    """
    return stored.generation * 1000 % TIMES


def is_fetched(target: Path, stored: Stored) -> bool:
    """Whether the file is this generation of the object, which was checked when it was fetched."""
    try:
        status = target.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (status.st_size, status.st_mtime_ns) == (stored.size, time_of(stored))


def fetch_object(
    source: BucketPath,
    stored: Stored,
    target: Path,
    aside: Path,
    came: Callable[[int], None],
    failed: Callable[[Exception], None],
) -> None:
    """Fetch one generation of an object, held against the bucket's CRC32C.

    Args:
        source: the object.
        stored: what the bucket says of it.
        target: the file; appears when all of it is on the disk.
        aside: where it grows, of this generation alone; goes on from what is there.
        came: is told the bytes of each piece.
        failed: is told of each request that is tried again.

    Raises:
        StorageError: it cannot be had or written, has changed meanwhile, or came damaged twice.
    """
    with faults_named(target):
        for _ in range(ATTEMPTS):
            checksum = _append(source, stored, aside, came, failed)
            if checksum == stored.crc32c:
                break
            aside.unlink()
        else:
            raise StorageError(
                f"{source} came with another checksum (CRC32C) than the bucket has of it, twice: something "
                "on the way changes it. Nothing of it is used; run again."
            )
        os.utime(aside, ns=(time_of(stored), time_of(stored)))
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)
    if not is_fetched(target, stored):
        raise StorageError(
            f"{target.parent} keeps times of files less exactly than to the microsecond, and changes could "
            "not be told by them: set SNAKE_CACHE to a folder on another file system."
        )


def _append(
    source: BucketPath,
    stored: Stored,
    aside: Path,
    came: Callable[[int], None],
    failed: Callable[[Exception], None],
) -> str:
    """Fetch what is missing; the checksum of the whole, in base 64."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with aside.open("a+b") as file:
        file.seek(0)
        while piece := file.read(PIECE):
            checksum.update(piece)
        reader = RangeReader(source, stored, failed)
        reader.seek(file.tell())
        try:
            while piece := reader.read(PIECE):
                file.write(piece)
                # Or a kill would lose what the next run could go on from.
                file.flush()
                checksum.update(piece)
                came(len(piece))
        except FileNotFoundError:
            # A step that fails for this is tried again, and lists anew.
            raise StorageError(
                f"{source} was replaced or removed while it was fetched: run again."
            ) from ConnectionError("another generation")
        os.fsync(file.fileno())
    return base64.b64encode(checksum.digest()).decode("ascii")
