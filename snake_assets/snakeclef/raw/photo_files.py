"""The photo files of a split: which are there, and which of them a metadata row means."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.metadata import PhotoRow

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True)
class PhotoFile:
    """A file that may hold a photo.

    `path` is relative to the root it was found under, with forward slashes; `modified_ns` is its time of
    change in nanoseconds, so that a file that was replaced can be told without reading it.
    """

    path: str
    root: Path
    bytes: int
    modified_ns: int


def find_photos(root: Path, start: str) -> list[PhotoFile]:
    """All photo files below `root/start`, by extension in any case, sorted by path; links are not followed.

    A folder that is not there holds no photo.
    """
    # Cut off as text: of 180,000 files, `Path.relative_to` would take longer than the disk.
    above = len(os.path.join(root, ""))  # noqa: PTH118
    found = [
        PhotoFile(entry.path[above:], root, status.st_size, status.st_mtime_ns)
        for entry in _files(root / start)
        if PurePosixPath(entry.name).suffix.lower() in EXTENSIONS
        for status in [entry.stat(follow_symlinks=False)]
    ]
    return sorted(found, key=lambda photo: photo.path)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry


class PhotoIndex:
    """Finds the file of a metadata row by its path.

    The official place comes first; then a file elsewhere in the split whose path ends in the row's
    `image_id` (other sizes, archives with folders of their own), also if only the case of its extension
    differs.
    """

    def __init__(self, photos: Iterable[PhotoFile]) -> None:
        self._photos = list(photos)
        self._by_path = {photo.path: photo for photo in self._photos}
        self._by_name: dict[str, list[PhotoFile]] = defaultdict(list)
        for photo in self._photos:
            self._by_name[_folded(PurePosixPath(photo.path).name)].append(photo)

    def find(self, row: PhotoRow) -> PhotoFile | None:
        """The row's file, or None where there is none.

        Raises:
            DataError: several files could be meant.
        """
        official = self._by_path.get(row.official_path)
        if official is not None:
            return official
        wanted = PurePosixPath(_folded(row.image_id)).parts
        named = self._by_name.get(_folded(PurePosixPath(row.image_id).name), [])
        candidates = [
            photo for photo in named if PurePosixPath(_folded(photo.path)).parts[-len(wanted) :] == wanted
        ]
        same_case = [photo for photo in candidates if photo.path.endswith(row.image_id)]
        candidates = same_case or candidates
        if len(candidates) > 1:
            raise DataError(
                f"The photo {row.image_id!r} of the metadata is found at {candidates[0].path} and at "
                f"{candidates[1].path} below {candidates[0].root}: keep one, "
                f"or put it at {row.official_path}."
            )
        return candidates[0] if candidates else None

    def without_row(self, rows: Sequence[PhotoRow]) -> list[PhotoFile]:
        """The files that no metadata row means."""
        meant = {photo.path for row in rows if (photo := self.find(row)) is not None}
        return [photo for photo in self._photos if photo.path not in meant]


def _folded(path: str) -> str:
    """The path with its extension in lower case."""
    stem, dot, extension = path.rpartition(".")
    return f"{stem}{dot}{extension.lower()}"
