"""The files of a split: which are there, and which of them each row of the metadata means.

What a file holds is looked at later (image_table): here a name decides nothing but what an archive is.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metadata import PhotoRow

# fmt: off
PHOTO_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl",
))
# fmt: on
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
# The words by which the official downloads tell their split.
SPLIT_WORDS = {"train": ("train", "hmp", "-hm"), "val": ("val",), "test": ("test",)}

# What is there and cannot be read as a file: the reason of the reject, and what to do about it.
FAULTS: Mapping[str, str] = {
    "name_not_utf8": "has a name that is not UTF-8 (shown with the bytes as \\x..): rename it",
    "link_outside": "is a link that leads out of the raw data: copy the files there, or name the folder that "
    "it leads to in link_roots of the resource raw_data",
    "link_broken": "is a link to what is not there: fetch it (`dvc pull`, `git annex get`) or mount its disk",
    "not_a_file": "is a device, a pipe or a socket: put the photo there",
}
MAX_FILE_BYTES = 256 << 20
WAYS = ("exact", "normalised", "case_folded", "last_part")


@dataclass(frozen=True)
class PhotoFile:
    """A file that may hold a photo.

    `path` is relative to the root it was found under, with forward slashes; `modified_ns` is its time of
    change in nanoseconds, so that a file that was replaced can be told without reading it. `fault` is one of
    FAULTS where it cannot be read, else empty.
    """

    path: str
    root: Path
    bytes: int
    modified_ns: int
    fault: str = ""

    @property
    def is_hidden(self) -> bool:
        """Whether it, or a folder above it, has a name such as `.gitkeep`: a split of such files is empty."""
        return any(part.startswith(".") for part in self.path.split("/"))


def is_archive(name: str, of: str | None = None) -> bool:
    """Whether a name is an archive's; with `of`, whether it also tells that split."""
    folded = name.lower()
    return folded.endswith(ARCHIVE_SUFFIXES) and (
        of is None or any(word in folded for word in SPLIT_WORDS[of])
    )


def is_named_as_photo(path: str) -> bool:
    """Whether a file's extension is one that photos have."""
    # Not by pathlib, which takes ten times as long, of 180,000 files seconds.
    return os.path.splitext(path)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122


def escaped(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 (surrogates in Python) as `\\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def find_photos(root: Path, start: str, link_roots: Sequence[Path] = ()) -> list[PhotoFile]:
    """All files below `root/start` but archives, sorted by path; a folder that is not there holds none.

    Links are followed where they lead into the root, into `root/start` itself (which may be a link), or
    into one of `link_roots`; others are listed with their fault.

    Raises:
        DataError: a folder cannot be listed.
    """
    # Cut off as text: of 180,000 files, `Path.relative_to` would take longer than the disk.
    above = len(os.path.join(root, ""))  # noqa: PTH118
    allowed = [os.path.join(os.path.realpath(at), "") for at in (root, root / start, *link_roots)]  # noqa: PTH118
    found = []
    for entry, fault in _entries(str(root / start), allowed, ()):
        path = entry.path[above:]
        if is_archive(entry.name):
            continue
        if (shown := escaped(path)) != path:
            path, fault = shown, fault or "name_not_utf8"
        status = None if fault else entry.stat()
        size, modified = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        found.append(PhotoFile(path, root, size, modified, fault))
    return sorted(found, key=lambda photo: photo.path)


def _entries(
    folder: str, allowed: Sequence[str], above: tuple[str, ...]
) -> Iterator[tuple[os.DirEntry[str], str]]:
    """What is in a folder and below, each with its fault; `above` are real paths, against loops."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DataError(
            f"{escaped(folder)} cannot be listed ({error.strerror}): see that it is mounted and that its "
            "rights let it be read, then run again."
        ) from error
    real = os.path.realpath(folder)
    for entry in entries:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if not any(os.path.join(target, "").startswith(root) for root in allowed):  # noqa: PTH118
                yield entry, "link_outside"
                continue
            if not os.path.exists(target):  # noqa: PTH110
                yield entry, "link_broken"
                continue
            if target == real or target in above:
                continue
        if entry.is_dir():
            yield from _entries(entry.path, allowed, (*above, real))
        else:
            yield entry, "" if entry.is_file() else "not_a_file"


@dataclass(frozen=True)
class Source:
    """A metadata row and the file that it means, if there is one."""

    row: PhotoRow
    file: PhotoFile | None


@dataclass(frozen=True)
class Matches:
    """Every row with its file, how many were found in which of WAYS, and the files that no row means."""

    sources: list[Source]
    found: Mapping[str, int]
    without_row: list[PhotoFile]


def match_photos(rows: Sequence[PhotoRow], photos: Sequence[PhotoFile]) -> Matches:
    """Find the file of each row: at its official place, else elsewhere in the split by its path.

    A path is looked for to the letter, then in another Unicode normalisation, then in other case; each time
    the official place comes first, and then any whose end it is (other sizes, folders of archives). At last
    by its last parts, without folders that lead it: only among files that no other row means, and where no
    other row could mean the same.

    Raises:
        DataError: several files could be meant, or two rows mean one file.
    """
    index = _Index(photos)
    files: list[PhotoFile | None] = []
    found: Counter[str] = Counter()
    meant: dict[str, PhotoRow] = {}
    for row in rows:
        file, way = index.whole(row)
        files.append(file)
        found[way] += file is not None
        if file is None:
            continue
        if (other := meant.setdefault(file.path, row)) is not row:
            raise DataError(
                f"{other.image_id!r} and {row.image_id!r} of the metadata both mean the file {file.path}: "
                "a photo stands once; remove one line."
            )
    lost = [number for number, file in enumerate(files) if file is None]
    proposals: dict[str, list[int]] = defaultdict(list)
    folders = {_parts(_folded(row.image_id))[-2] for row in rows if "/" in row.image_id} if lost else set()
    for number in lost:
        if proposed := index.tail(rows[number], meant, folders):
            proposals[proposed.path].append(number)
            files[number] = proposed
    for numbers in proposals.values():
        if len(numbers) == 1:
            found["last_part"] += 1
        for number in numbers if len(numbers) > 1 else ():
            files[number] = None
    for number in lost:
        files[number] = files[number] or index.at_fault(rows[number])
    taken = {file.path for file in files if file}
    return Matches(
        [Source(row, file) for row, file in zip(rows, files, strict=True)],
        {way: found[way] for way in WAYS},
        [photo for photo in photos if photo.path not in taken],
    )


class _Index:
    """The files of a split by path and by last part."""

    def __init__(self, photos: Sequence[PhotoFile]) -> None:
        self._by_path = {photo.path: photo for photo in photos}
        self._by_name: dict[str, list[PhotoFile]] = defaultdict(list)
        self._by_mask: dict[str, PhotoFile] = {}
        for photo in photos:
            self._by_name[_folded(_parts(photo.path)[-1])].append(photo)
            if "\\x" in photo.path:
                self._by_mask[_masked(photo.path)] = photo

    def whole(self, row: PhotoRow) -> tuple[PhotoFile | None, str]:
        """The file that has a row's whole path at its end, and in which way."""
        if official := self._by_path.get(row.official_path):
            return official, "exact"
        named = self._by_name.get(_folded(_parts(row.image_id)[-1]), [])
        forms: tuple[Callable[[str], str], ...] = (str, _normalised, _folded)
        for way, form in zip(WAYS, forms, strict=False):
            official_path, wanted = form(row.official_path), _parts(form(row.image_id))
            ending = [photo for photo in named if _parts(form(photo.path))[-len(wanted) :] == wanted]
            at_official = [photo for photo in ending if form(photo.path) == official_path]
            if ending:
                return self._only(row, at_official or ending), way
        return None, "exact"

    def tail(self, row: PhotoRow, meant: Mapping[str, PhotoRow], folders: set[str]) -> PhotoFile | None:
        """The file that has the last parts of a row's path at its end, as many of them as can be.

        By the last part alone it is not one in a folder that the metadata names for others.
        """
        parts = _parts(_folded(row.image_id))
        free = [photo for photo in self._by_name.get(parts[-1], []) if photo.path not in meant]
        for wanted in (parts[start:] for start in range(1, len(parts))):
            ending = [photo for photo in free if _parts(_folded(photo.path))[-len(wanted) :] == wanted]
            if len(wanted) == 1:
                ending = [photo for photo in ending if folders.isdisjoint(_parts(_folded(photo.path))[-2:-1])]
            if ending:
                return self._only(row, ending)
        return None

    def at_fault(self, row: PhotoRow) -> PhotoFile | None:
        """What keeps a row's file from being found: a link above it, or its name in another encoding."""
        for above in PurePosixPath(row.official_path).parents:
            if (link := self._by_path.get(str(above))) and link.fault:
                return link
        return self._by_mask.get(_masked(row.official_path))

    @staticmethod
    def _only(row: PhotoRow, ending: Sequence[PhotoFile]) -> PhotoFile:
        if len(ending) > 1:
            raise DataError(
                f"The photo {row.image_id!r} of the metadata is found at {ending[0].path} and at "
                f"{ending[1].path} below {ending[0].root}: keep one, or put it at {row.official_path}."
            )
        return ending[0]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _normalised(path: str) -> str:
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def _folded(path: str) -> str:
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", _normalised(path).casefold())


def _masked(path: str) -> str:
    """A path in which whatever is not ASCII, in whichever encoding, is one question mark."""
    return re.sub(r"(\\x[0-9a-f]{2}|[^\x00-\x7f])+", "?", _normalised(path))
