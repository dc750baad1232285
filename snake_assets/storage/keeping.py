"""Files of the store looked at, read and written, in a folder or in a bucket."""

from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage import files
from snake_assets.storage.bucket_path import SHA256, BucketPath, Stored
from snake_assets.storage.fingerprints import bytes_digest, file_digest
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.range_reader import RangeReader
from snake_assets.storage.uploads import replace_object


@dataclass(frozen=True)
class Status:
    """What is known of a file without reading it.

    Attributes:
        size: in bytes.
        identity: another one for another file, or for the same one written to.
        sha256: as its writer noted it with an object; None for a file on a disk, which may change by itself.
        stored: for an object, what the bucket says.
    """

    size: int
    identity: tuple[object, ...]
    sha256: str | None = None
    stored: Stored | None = None


def status(file: AnyPath) -> Status:
    """What is known of a file. Raises OSError where it cannot be looked at, StorageError of a bucket."""
    if isinstance(file, BucketPath):
        found = file.stored()
        identity = (str(file), found.generation, found.crc32c)
        return Status(found.size, identity, found.notes.get(SHA256), found)
    told = file.stat()
    return Status(told.st_size, (str(file), told.st_ino, told.st_size, told.st_mtime_ns))


def sizes(folder: AnyPath) -> dict[str, int]:
    """Name -> bytes of the files in a folder; none where there is no folder."""
    if isinstance(folder, BucketPath):
        return {name: found.size for name, found in folder.listed().items()}
    found = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # a writer may be at work
            if path.is_file():
                found[path.name] = path.stat().st_size
    return found


def digest(file: AnyPath) -> str:
    """SHA-256, as hex, of a file's bytes. Raises OSError where it cannot be read; a bucket, StorageError."""
    return bytes_digest(file.read_bytes()) if isinstance(file, BucketPath) else file_digest(file)


def noted_digest(file: AnyPath) -> str:
    """SHA-256, as hex, of a file; of an object, as its writer noted it, for the bucket keeps its bytes.

    Raises:
        OSError: it cannot be read.
        StorageError: a bucket gives no answer.
    """
    return status(file).sha256 or digest(file)


def opened(file: AnyPath) -> IO[bytes] | RangeReader:
    """A file, opened for reading; of an object, each reading is fetched. Raises as `status`."""
    return RangeReader(file, file.stored()) if isinstance(file, BucketPath) else file.open("rb")


def parquet_file(file: AnyPath, there: Status | None = None, ahead: bool = True) -> pq.ParquetFile:
    """A parquet file, opened for reading; every page is held against its checksum.

    Of an object, only the footer and what is read is fetched: with `ahead` all of it at once, otherwise
    column by column as it is needed, so that little is in memory.

    Args:
        file: the file.
        there: what is known of it, if it was looked at.
        ahead: for an object, whether to fetch all of a reading at once.

    Raises:
        OSError, pa.ArrowException: it is not there, or no parquet file.
        StorageError: a bucket gives no answer.
    """
    if isinstance(file, BucketPath):
        stored = (there.stored if there else None) or file.stored()
        reader = pa.PythonFile(RangeReader(file, stored), mode="r")
        return pq.ParquetFile(reader, pre_buffer=ahead, page_checksum_verification=True)
    return pq.ParquetFile(file, page_checksum_verification=True)


def write_whole(file: AnyPath, data: bytes) -> None:
    """Write a file, whole or not at all, over what has its name. Raises StorageError where it cannot be."""
    if isinstance(file, BucketPath):
        replace_object(file, data)
    else:
        files.write_whole(file, data)
