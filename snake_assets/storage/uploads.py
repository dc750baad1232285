"""Objects that appear whole or not at all, each by one request or one resumable upload."""

import errno
import io
import mimetypes
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from snake_assets.storage.bucket import CREATE, Overtaken
from snake_assets.storage.bucket_path import SHA256, BucketPath
from snake_assets.storage.counted import CountedFile
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import bytes_digest

if TYPE_CHECKING:
    from google.cloud import storage

NOTHING = 0
WRITTEN_BY = "written"
IN_MEMORY = 8 << 20
# The client sends more than this in pieces; one that fails is sent again.
IN_ONE, PIECE = 8 << 20, 16 << 20


def put_object(path: BucketPath, content: IO[bytes], size: int, sha256: str, instead_of: int | None) -> int:
    """Write an object; returns its generation.

    Args:
        path: of the object.
        content: its bytes, from the start.
        size: how many.
        sha256: their digest, noted with the object.
        instead_of: the generation that is replaced, NOTHING where there is to be none, None for any.

    Raises:
        Overtaken: another generation is there.
        StorageError: it cannot be written.
    """
    from google.api_core.exceptions import NotFound

    bucket, token = path.bucket, uuid.uuid4().hex

    def put(found: "storage.Bucket") -> int:
        try:
            return upload(found)
        except NotFound as error:
            # The session of an upload in pieces may be lost: then it begins anew.
            if size <= IN_ONE or "bucket does not exist" in str(error):
                raise
            return upload(found)

    def upload(found: "storage.Bucket") -> int:
        blob = found.blob(path.key, chunk_size=PIECE)
        blob.metadata = {SHA256: sha256, WRITTEN_BY: token}
        content.seek(0)
        blob.upload_from_file(
            content,
            size=size,
            content_type=content_type(path),
            checksum="crc32c",
            if_generation_match=instead_of,
            timeout=bucket.timeout,
            retry=bucket.retry(),
        )
        return int(blob.generation)

    try:
        return bucket.ask(path, CREATE, put)
    except Overtaken:
        # An attempt whose answer was lost may have been the one that it was overtaken by.
        try:
            there = path.stored()
        except FileNotFoundError:
            raise Overtaken(str(path)) from None
        if there.notes.get(WRITTEN_BY) != token:
            raise
        return there.generation


def content_type(path: BucketPath) -> str:
    """What a browser is to take an object for, by its name."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def put_bytes(path: BucketPath, data: bytes, instead_of: int | None) -> int:
    """As `put_object`."""
    return put_object(path, io.BytesIO(data), len(data), bytes_digest(data), instead_of)


def replace_object(path: BucketPath, data: bytes) -> None:
    """Write an object over whatever has its name. Raises StorageError where it cannot be written."""
    put_bytes(path, data, None)


@contextmanager
def whole_object(path: BucketPath) -> Iterator[CountedFile]:
    """Open a new object for writing; on leaving without an error it is uploaded.

    Until then its bytes are in memory, and above 8 MiB in a temporary file.

    Raises:
        StorageError: it cannot be written, or there is one of that name.
    """
    with SpooledTemporaryFile(IN_MEMORY) as content:
        new = CountedFile(content)
        try:
            yield new
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise StorageError(
                f"{path} could not be gathered before its upload ({error.strerror}): free space in the "
                "folder of temporary files, or set TMPDIR to another, then run again."
            ) from error
        try:
            put_object(path, content, new.size, new.sha256, NOTHING)
        except Overtaken:
            raise StorageError(f"{path} is there already: run again.") from None
