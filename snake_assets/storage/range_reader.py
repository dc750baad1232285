"""An object of a bucket as a file of which only what is asked for is fetched."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from snake_assets.storage.bucket import GET
from snake_assets.storage.bucket_path import BucketPath, Stored

if TYPE_CHECKING:
    from google.cloud import storage


class RangeReader(io.RawIOBase):
    """Reads one generation of an object, each `read` by a request of its own.

    `failed` is told of each request that is tried again.
    """

    def __init__(
        self, path: BucketPath, stored: Stored, failed: Callable[[Exception], None] | None = None
    ) -> None:
        self._path, self._stored, self._failed = path, stored, failed
        self._at = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next reading begins, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Begin the next reading elsewhere."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stored.size}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, fewer only at the end.

        Raises:
            FileNotFoundError: the object is gone, or another one has its name.
            StorageError: it cannot be had.
        """
        end = self._stored.size if size < 0 else min(self._stored.size, self._at + size)
        data = self._fetch(self._at, end) if end > self._at else b""
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override]
        """As `read`, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _fetch(self, start: int, end: int) -> bytes:
        bucket, generation = self._path.bucket, self._stored.generation

        def load(found: "storage.Bucket") -> bytes:
            data: bytes = found.blob(self._path.key, generation=generation).download_as_bytes(
                start=start,
                end=end - 1,
                raw_download=True,
                checksum=None,  # the bucket knows that of the whole object only; pages have their own
                timeout=bucket.timeout,
                retry=None,
            )
            if len(data) != end - start:
                raise ConnectionError(f"{len(data)} bytes came where {end - start} were asked for")
            return data

        tried: Callable[[storage.Bucket], bytes] = bucket.retry()(load, on_error=self._failed)
        return bucket.ask(self._path, GET, tried)
