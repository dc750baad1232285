"""The official archives, unpacked safely: photos only, inside one folder only, within limits."""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.photo_files import EXTENSIONS

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
# The words by which the official downloads tell their split.
SPLIT_WORDS = {"train": ("train", "hmp", "-hm"), "val": ("val",), "test": ("test",)}
CHUNK = 1 << 20
# What the standard library raises on archives that are not what they should be.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold. The official ones have 154,301 photos and about 60 GB at full size.

    `ratio` is bytes unpacked over bytes of the archive; photos do not compress, so more than a few is a bomb.
    """

    members: int = 1_000_000
    bytes: int = 1 << 40
    member_bytes: int = 1 << 30
    ratio: float = 100.0


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive: photos written, their bytes, and members that are no photos."""

    photos: int
    bytes: int
    skipped: int


def find_archives(root: Path, split: str) -> list[Path]:
    """A split's archives: those in its folder, and those beside it whose name tells the split."""
    inside = [path for path in _files(root / split) if path.name.lower().endswith(SUFFIXES)]
    beside = [
        path
        for path in _files(root)
        if path.name.lower().endswith(SUFFIXES)
        and any(word in path.name.lower() for word in SPLIT_WORDS[split])
    ]
    return sorted(inside + beside)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def unpack(archive: Path, target: Path, limits: ArchiveLimits | None = None) -> Unpacked:
    """Write an archive's photos below `target`, which must be a folder of its own.

    Members that are not photos are skipped and counted. Nothing is written outside `target`.

    Raises:
        DataError: the archive is damaged, holds a path that leads outside, a link or a device, or more
            than the limits allow. `target` may then hold a part of it.
    """
    limits = limits or ArchiveLimits()
    allowance = min(limits.bytes, int(archive.stat().st_size * limits.ratio))
    photos = total = skipped = 0
    try:
        with _members(archive) as members:
            for number, (name, stream) in enumerate(members):
                if number >= limits.members:
                    raise _refusal(archive, f"holds more than {limits.members} members")
                path = _inside(archive, name)
                if path.suffix.lower() not in EXTENSIONS:
                    skipped += 1
                    continue
                total += _write(
                    archive, name, stream, target / path, min(limits.member_bytes, allowance - total)
                )
                photos += 1
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"{archive} is damaged or not an archive we read ({error}): fetch it again."
        ) from error
    return Unpacked(photos, total, skipped)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as bundle:
            yield _zip_members(archive, bundle)
    else:
        with tarfile.open(archive, "r|*") as bundle:
            yield _tar_members(archive, bundle)


def _zip_members(archive: Path, bundle: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in bundle.infolist():
        kind = (info.external_attr >> 16) & 0o170000
        if info.filename.endswith("/"):
            continue
        if kind not in (0, 0o100000):
            raise _refusal(archive, f"holds {info.filename!r}, which is a link or a device")
        with bundle.open(info) as stream:
            yield info.filename, stream


def _tar_members(archive: Path, bundle: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in bundle:
        if info.isdir():
            continue
        stream = bundle.extractfile(info) if info.isreg() else None
        if stream is None:
            raise _refusal(archive, f"holds {info.name!r}, which is a link or a device")
        yield info.name, stream


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise _refusal(archive, f"holds {name!r}, which leads outside the folder")
    return path


def _write(archive: Path, name: str, stream: IO[bytes], target: Path, allowance: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    # "x": a member that stands twice, or that would go through a file, is refused rather than followed.
    try:
        with target.open("xb") as file:
            while chunk := stream.read(CHUNK):
                written += len(chunk)
                if written > allowance:
                    raise _refusal(archive, f"unpacks to more than is plausible (at {name!r})")
                file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise _refusal(archive, f"holds {name!r} twice") from None
    return written


def _refusal(archive: Path, fault: str) -> DataError:
    return DataError(
        f"{archive} {fault}: it is not the official archive; nothing of it is used. Fetch it again."
    )
