"""The official archives, unpacked safely: files only, inside one folder only, within limits."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.raw.archive_reader import DAMAGE, open_members, refusal
from snake_assets.snakeclef.raw.photo_files import escaped, is_archive, is_named_as_photo
from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import fingerprint

CHUNK = 1 << 20
# What file systems take: longer ones could not be written.
LONGEST_NAME, LONGEST_PATH = 255, 1024


@dataclass(frozen=True)
class Archive:
    """An archive by what a listing tells: where it is, or would be, its bytes and its time of change."""

    path: Path
    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold. The official ones have 168,144 photos of train and about 60 GB at full size.

    `members` counts all that is in it, folders too; `others` those not named as photos. `ratio` is bytes
    unpacked over bytes of the archive; photos do not compress, so more than a few is a bomb.
    """

    members: int = 200_000
    others: int = 20_000
    bytes: int = 1 << 40
    member_bytes: int = 1 << 30
    ratio: float = 100.0


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive.

    `files` were written, with `bytes` in all; `skipped` are archives in it, and members that are neither
    named as photos nor as files can be.
    """

    files: int
    bytes: int
    skipped: int


def find_archives(root: Path, split: str) -> list[Archive]:
    """A split's archives: those in its folder, and those beside it whose name tells the split."""
    inside = [path for path in _files(root / split) if is_archive(path.name)]
    beside = [path for path in _files(root) if is_archive(path.name, of=split)]
    return [
        Archive(path, status.st_size, status.st_mtime_ns)
        for path in sorted(inside + beside)
        for status in [path.stat()]
    ]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def unpack(archive: Path, target: Path, limits: ArchiveLimits | None = None) -> Unpacked:
    """Write an archive's files below `target`, which must be a folder of its own.

    Files of any name, since the metadata may name any; bytes of a name that are not UTF-8 are written as
    \\xff. Archives within the archive are skipped and counted. Nothing is written outside `target`.

    Raises:
        DataError: the archive is damaged or cut short, holds a path that leads outside or cannot be a file's,
            a link or a device, a file twice, or more than the limits allow. `target` may then hold a part.
        OSError: `target` cannot be written.
    """
    limits = limits or ArchiveLimits()
    allowance = min(limits.bytes, int(archive.stat().st_size * limits.ratio))
    files = total = skipped = 0
    try:
        with open_members(archive, limits.members, limits.others, allowance) as members:
            for name, stream in members:
                path, name = PurePosixPath(escaped(str(_inside(archive, name)))), escaped(name)
                # What is no photo by its name does not make an archive unusable, unlike a photo.
                can_stay_out = not is_named_as_photo(name) and (
                    not _is_writable(name) or (target / path).exists()
                )
                if is_archive(name) or can_stay_out:
                    skipped += 1
                    continue
                total += _write(
                    archive, name, stream, target / path, min(limits.member_bytes, allowance - total)
                )
                files += 1
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"{archive} is damaged or not an archive we read ({error}): fetch it again."
        ) from error
    return Unpacked(files, total, skipped)


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise refusal(archive, f"holds {name[:200]!r}, which leads outside the folder")
    return path


def _is_writable(name: str) -> bool:
    # Unprintable are control characters and those that turn the writing round.
    too_long = len(name.encode()) > LONGEST_PATH or len(PurePosixPath(name).name.encode()) > LONGEST_NAME
    return name.isprintable() and not too_long


def _write(archive: Path, name: str, stream: IO[bytes], target: Path, allowance: int) -> int:
    if not _is_writable(name):
        raise refusal(archive, f"holds {name[:200]!r}, which no photo is called")
    written = 0
    # "x": a member that stands twice, or that would go through a file, is refused rather than followed.
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while chunk := stream.read(CHUNK):
                written += len(chunk)
                if written > allowance:
                    raise refusal(archive, f"unpacks to more than is plausible (at {name!r})")
                file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise refusal(archive, f"holds {name!r} twice") from None
    return written


def home_of(archive: Archive) -> str:
    """The folder that an archive is unpacked to, named after its content as far as a listing tells it."""
    return fingerprint([archive.path.name, archive.bytes, archive.modified_ns])[:16]


def unpack_all(archives: Sequence[Archive], target: Path) -> dict[str, Unpacked]:
    """Unpack each archive into its folder in `target`; one that is there already is kept.

    Raises:
        DataError: an archive is refused.
        StorageError: `target` cannot be written.
    """
    unpacked: dict[str, Unpacked] = {}
    for archive in archives:
        home = target / home_of(archive)
        if not home.is_dir():
            aside = target / f".{home.name}.tmp"
            shutil.rmtree(aside, ignore_errors=True)
            try:
                aside.mkdir(parents=True)
                unpacked[archive.path.name] = unpack(archive.path, aside)
                # All at once: a sync for each of 150,000 photos would take longer than unpacking them.
                os.sync()
                aside.rename(home)
            except OSError as error:
                raise StorageError(
                    f"{archive.path} could not be unpacked to {target} ({error.strerror or error}): free "
                    "space or mend the rights there, then run again."
                ) from error
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return unpacked


def remove_others(target: Path, homes: Sequence[str]) -> None:
    """Remove what was unpacked of other archives, once no committed inventory names it."""
    for stale in target.iterdir():
        if stale.name not in homes:
            shutil.rmtree(stale)
