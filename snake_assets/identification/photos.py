"""What `predict` is asked about: files, folders and tables of photos, as photos of observations."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.storage.objectstore.gcs import BucketPath
from snake_assets.storage.paths import AnyPath

GroupBy = Literal["none", "folder", "csv"]
# What lies beside photos and is none: counted and named, not read. All else in a folder is asked about, since
# a photo with a strange name is to be answered, or be told to be unreadable.
COMPANIONS = (
    *(".csv", ".tsv", ".json", ".jsonl", ".txt", ".md", ".xml", ".xmp", ".html", ".pdf", ".zip", ".gz"),
    *(".parquet", ".db", ".ini", ".log"),
)
# No photo has so many.
MOST_BYTES = 512 << 20
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Photo:
    """A photo to identify.

    Attributes:
        path: how it is named in the answer: with forward slashes, in printable characters.
        observation_id: the observation whose photos are answered together; the path where it stands alone.
        content: the file, or its bytes.
    """

    path: str
    observation_id: str
    content: AnyPath | bytes

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            OSError: it cannot be read, is no file (a pipe would be waited for), or has more than 512 MiB.
            StorageError: a bucket gives no answer.
        """
        if isinstance(self.content, bytes):
            return self.content
        if isinstance(self.content, BucketPath):
            size = self.content.stored().size
        else:
            status = self.content.stat()
            if not stat.S_ISREG(status.st_mode):
                raise OSError("it is no file")
            size = status.st_size
        if size > MOST_BYTES:
            raise OSError(f"it has {size:,} bytes, more than {MOST_BYTES:,}")
        return self.content.read_bytes()


def find_photos(
    paths: Sequence[Path], group_by: GroupBy | None = None, but: Sequence[Path] = ()
) -> tuple[list[Photo], list[Path]]:
    """All photos of some files, folders (with all that is below them) and tables.

    A table is a .csv with the column `image_path`, relative to the table's folder, and `observation_id` if
    photos belong together.

    Args:
        paths: as the user wrote them.
        group_by: what makes an observation: nothing, the photo's folder, or the tables' column. None is the
            tables' column where there is one.
        but: files that are never among them, such as the one that answers are written to.

    Returns:
        The photos, each once, and the files in folders that are no photos by their names (hidden ones apart).

    Raises:
        DataError: a path does not exist, there is nothing to group by, a photo is in two observations, or a
            table is damaged or lacks the column; names file and line.
    """
    found: dict[str, Photo] = {}
    others: list[Path] = []
    excluded = {path.absolute() for path in but}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist: name a photo, a folder, or a .csv of photos.")
        if path.is_dir():
            listed = [file for file in _files_below(path) if file.absolute() not in excluded]
            photos = [_photo(file, group_by) for file in listed if file.suffix.lower() not in COMPANIONS]
            others += [file for file in listed if file.suffix.lower() in COMPANIONS]
        elif path.suffix.lower() == ".csv":
            photos = [*_photos_of_table(path, group_by)]
        else:
            photos = [_photo(path, group_by)]
        for photo in photos:
            earlier = found.setdefault(photo.path, photo)
            if earlier.observation_id != photo.observation_id:
                raise DataError(
                    f"{photo.path} stands in two observations, {earlier.observation_id!r} and "
                    f"{photo.observation_id!r}: a photo belongs to one."
                )
    return [*found.values()], others


def printable(text: str | Path) -> str:
    """A name as one line of valid text: bytes that are no UTF-8 and control characters become escapes."""
    valid = str(text).encode("utf-8", "backslashreplace").decode()
    return CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", valid)


def _photo(file: Path, group_by: GroupBy | None, observation_id: str | None = None) -> Photo:
    path = printable(file.as_posix())
    if group_by == "folder":
        return Photo(path, printable(file.parent.as_posix()), file)
    if group_by == "csv" and observation_id is None:
        raise DataError(
            f"--group-by csv, but no column observation_id tells that of {file}: name a .csv with the "
            "columns image_path and observation_id."
        )
    return Photo(path, path if observation_id is None else printable(observation_id), file)


def _files_below(folder: Path) -> Iterator[Path]:
    """In a lasting order; hidden files and folders are left out, and no link to a folder is followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent) / name for name in sorted(files) if not name.startswith("."))


def _photos_of_table(table: Path, group_by: GroupBy | None) -> Iterator[Photo]:
    for row in read_rows(table, ["image_path"]):
        grouped = group_by in (None, "csv") and "observation_id" in row.cells
        observation_id = row.exact("observation_id") if grouped else None
        yield _photo(table.parent / row.exact("image_path"), group_by, observation_id)
