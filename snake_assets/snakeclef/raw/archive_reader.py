"""The members of a tar or zip archive, one by one, at a bounded cost of memory, time and disk.

The standard library trusts an archive: it reads a header of any announced length into memory, lists all
members before the first is given out, and takes damage in the middle of a tar for its end.
"""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.raw.photo_files import is_named_as_photo

# What the standard library raises on archives that are not what they should be.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
GZIP_SIGNATURE = b"\x1f\x8b"
ZIP_MEMBER_SIGNATURE = b"PK\x01\x02"
# Between two members of a tar lies the header of the second: 512 bytes, a few kB where its name is long.
MOST_BETWEEN_MEMBERS = 1 << 20
# Each line of an extended header (name, time, ...) takes microseconds, and a MiB has room for 170,000.
LINES_PER_MEMBER, LINES_BESIDES = 4, 1000
PIECE = 1 << 20

Members = Iterator[tuple[str, IO[bytes]]]


@contextmanager
def open_members(archive: Path, most: int, most_others: int, allowance: int) -> Iterator[Members]:
    """The files in an archive, in its order: name, and a stream that is good until the next is asked for.

    Args:
        archive: a zip by its name, else a tar, compressed by gzip or not.
        most: members, of whatever kind.
        most_others: members that are not named as photos, folders too.
        allowance: bytes that a tar may unpack to in all, besides headers of 1 MiB together.

    Raises:
        DataError: a link or a device, or more than is allowed; while iterating too.
        One of DAMAGE: the archive is damaged, cut short, or none.
    """
    if archive.name.lower().endswith(".zip"):
        with _ZipFile(archive, most) as file, zipfile.ZipFile(file) as bundle:
            yield _zip_members(archive, bundle, _Tally(archive, most, most_others))
    else:
        with archive.open("rb") as packed:
            zipped = packed.read(2) == GZIP_SIGNATURE
            packed.seek(0)
            unpacked: io.BufferedIOBase = gzip.GzipFile(fileobj=packed) if zipped else packed
            stream = _TarStream(archive, unpacked, allowance, most)
            yield _tar_members(archive, stream, _Tally(archive, most, most_others))


def refusal(archive: Path, fault: str) -> DataError:
    """The error that an archive is refused with, as a whole."""
    return DataError(
        f"{archive} {fault}: it is not the official archive; nothing of it is used. Fetch it again."
    )


class _Tally:
    """Counts members up to what is allowed."""

    def __init__(self, archive: Path, most: int, most_others: int) -> None:
        self._archive, self._most, self._most_others = archive, most, most_others
        self._members = self._others = 0

    def add(self, name: str, is_folder: bool) -> None:
        self._members += 1
        self._others += is_folder or not is_named_as_photo(name)
        if self._members > self._most:
            raise refusal(self._archive, f"holds more than {self._most} members")
        if self._others > self._most_others:
            raise refusal(self._archive, f"holds more than {self._most_others} members that are no photos")


class _ZipFile(io.FileIO):
    """A zip on disk that counts its members before `zipfile` makes an object of each."""

    def __init__(self, archive: Path, most: int) -> None:
        super().__init__(archive)
        self._archive, self._most = archive, most

    def seek(self, position: int, whence: int = 0, /) -> int:
        try:
            return super().seek(position, whence)
        except OSError as error:
            raise zipfile.BadZipFile("it names a place before its beginning") from error

    def read(self, size: int | None = -1, /) -> bytes:
        # The list of members comes in one read, however long.
        data = super().read(size) or b""
        if data.count(ZIP_MEMBER_SIGNATURE) > self._most:
            raise refusal(self._archive, f"holds more than {self._most} members")
        return data


def _zip_members(archive: Path, bundle: zipfile.ZipFile, tally: _Tally) -> Members:
    for info in bundle.infolist():
        is_folder = info.filename.endswith("/")  # is_dir() fails where there is no name
        tally.add(info.filename, is_folder)
        kind = (info.external_attr >> 16) & 0o170000
        if is_folder:
            continue
        if kind not in (0, 0o100000):
            raise refusal(archive, f"holds {info.filename[:200]!r}, which is a link or a device")
        if "\0" in info.orig_filename:
            raise refusal(archive, f"holds {info.orig_filename[:200]!r}, which no photo is called")
        # The others unpack without a limit on what they hold in memory.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refusal(archive, f"holds {info.filename[:200]!r}, which is compressed in a way of its own")
        with bundle.open(info) as stream:
            yield info.filename, stream


class _TarStream(io.RawIOBase):
    """A tar as it is unpacked, forward only: counts what is read, and remembers the last block."""

    def __init__(self, archive: Path, unpacked: io.BufferedIOBase, allowance: int, most: int) -> None:
        self._archive, self._unpacked, self._left = archive, unpacked, allowance + MOST_BETWEEN_MEMBERS
        self._lines_left = LINES_PER_MEMBER * most + LINES_BESIDES
        self._position = 0
        self.headers_left = MOST_BETWEEN_MEMBERS
        self.within_headers = True
        self.last_block = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0, /) -> int:
        if whence or position < self._position:
            raise tarfile.StreamError("its members are not in order")
        while self._position < position and self.read(min(PIECE, position - self._position)):
            pass
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        # A header announces its own length, which must not be believed.
        if self.within_headers and size > self.headers_left:
            raise refusal(self._archive, "holds a header of more than is plausible")
        data = self._unpacked.read(size)
        self._position += len(data)
        self._left -= len(data)
        if self.within_headers:
            self.headers_left -= len(data)
            self._lines_left -= data.count(b"\n")
        if self._lines_left < 0:
            raise refusal(self._archive, "holds headers of more lines than is plausible")
        if self._left < 0:
            raise refusal(self._archive, "unpacks to more than is plausible")
        self.last_block = data
        return data


def _tar_members(archive: Path, stream: _TarStream, tally: _Tally) -> Members:
    with tarfile.open(fileobj=stream, mode="r:") as bundle:
        while (info := bundle.next()) is not None:
            tally.add(info.name, info.isdir())
            bundle.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            if not info.isdir():
                # Sparse files are a map of holes, of any length.
                data = bundle.extractfile(info) if info.isreg() and not info.issparse() else None
                if data is None:
                    raise refusal(archive, f"holds {info.name[:200]!r}, which is a link or a device")
                stream.within_headers = False
                yield info.name, data
                stream.seek(info.offset_data + info.size)
            stream.within_headers, stream.headers_left = True, MOST_BETWEEN_MEMBERS
        # tarfile ends in silence where a header is damaged, or where the file was cut between two members.
        if stream.last_block != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends, or is damaged, between two members")
        stream.within_headers = False
        while stream.read(PIECE):  # up to the checksum of gzip
            pass
