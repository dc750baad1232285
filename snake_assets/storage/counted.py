"""A file on its way whose size and digest are known without reading it again."""

import hashlib
import io
from typing import IO


class CountedFile(io.RawIOBase):
    """Hands on what is written; `size` is the bytes so far."""

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
