"""Files of the store looked at, read and written, in a folder or in a bucket."""

import os
import struct
from contextlib import AbstractContextManager, nullcontext, suppress

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage import local_files
from snake_assets.storage.fingerprints import bytes_digest, file_digest
from snake_assets.storage.objectstore.gcs import GET, BucketPath, Stored
from snake_assets.storage.paths import AnyPath

FOOTER_END = struct.Struct("<I4s")  # length of what stands before it, and the format's magic


def status(file: AnyPath) -> Stored:
    """What is known of a file. Raises OSError where it cannot be looked at, StorageError of a bucket."""
    return file.stored() if isinstance(file, BucketPath) else Stored(file.stat().st_size)


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
    """SHA-256, as hex, of a file; of an object, as its writer noted it, for the bucket keeps its bytes.

    Raises:
        OSError: it cannot be read.
        StorageError: a bucket gives no answer.
    """
    if isinstance(file, BucketPath):
        return file.stored().sha256 or bytes_digest(file.read_bytes())
    return file_digest(file)


def reading(file: AnyPath) -> AbstractContextManager[object]:
    """In it, what goes wrong with a bucket's answers is explained, by a StorageError or FileNotFoundError."""
    return file.asking(GET) if isinstance(file, BucketPath) else nullcontext()


def parquet_file(file: AnyPath, there: Stored | None = None) -> pq.ParquetFile:
    """A parquet file, opened for `reading`; every page that has a checksum is held against it.

    Of an object, only the footer and what is read is fetched, all of one reading at once. `there` is what is
    known of the file, if it was looked at.

    Raises:
        OSError, pa.ArrowException: it is not there, or no parquet file.
        StorageError: a bucket gives no answer.
    """
    if isinstance(file, BucketPath):
        with file.asking(GET):
            content = pa.PythonFile(file.open(there or file.stored()), mode="r")
            return pq.ParquetFile(content, pre_buffer=True, page_checksum_verification=True)
    return pq.ParquetFile(file, page_checksum_verification=True)


def footer_digest(file: AnyPath) -> str:
    """SHA-256, as hex, of the footer of a parquet file; of all of its bytes where they cannot be a footer.

    Raises:
        OSError: the file cannot be read.
        StorageError: a bucket gives no answer.
    """
    with (
        reading(file),
        file.open(file.stored()) if isinstance(file, BucketPath) else file.open("rb") as content,
    ):
        size = content.seek(0, os.SEEK_END)
        content.seek(max(0, size - FOOTER_END.size))
        end = content.read()
        length = FOOTER_END.unpack(end)[0] if len(end) == FOOTER_END.size else size
        content.seek(max(0, size - FOOTER_END.size - length))
        return bytes_digest(content.read())


def write_whole(file: AnyPath, data: bytes) -> None:
    """Write a file, whole or not at all, over what has its name. Raises StorageError where it cannot be."""
    if isinstance(file, BucketPath):
        file.put_bytes(data)
    else:
        local_files.write_whole(file, data)
