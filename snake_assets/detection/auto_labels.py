"""Boxes to learn from that a finder drew, not a person: never to judge by."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from snake_assets.detection.box_files import BoxedPhoto
from snake_assets.detection.finders.base import Finder, fitted, within_frame
from snake_assets.detection.training import Progress
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.table import Table
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.decoding.errors import UnreadablePhoto
from snake_assets.vision.preprocessing.regions import Region

# Counts as an input: raise it when the same finds would give other boxes.
LABELLING_VERSION = 1
PHOTOS_AT_ONCE = 8
LABEL_COLUMNS = {"image_id": pl.String, **dict.fromkeys(("x0", "y0", "x1", "y1", "score"), pl.Float64)}


@dataclass(frozen=True)
class Labelling:
    """Which finds become boxes.

    Attributes:
        least_score: finds of a lower score are no boxes, 0 to 1.
        most_photos: to look at, evenly spread over the table.
        refused: image_ids of photos whose boxes a person found wrong.
    """

    least_score: float = 0.3
    most_photos: int = 200
    refused: frozenset[str] = frozenset()

    def recipe(self, finder: Finder, images: Table) -> dict[str, Json]:
        """All that decides the boxes."""
        return {
            "version": LABELLING_VERSION,
            "labeller": finder.fingerprint_parts(),
            "images": images.manifest.digest,
            "least_score": self.least_score,
            "most_photos": self.most_photos,
            "refused": sorted(self.refused),
        }


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """A photo, and what a finder found in it: at least one find, best first."""

    photo: BoxedPhoto
    finds: Sequence[Region]


@dataclass(frozen=True, eq=False)
class AutoLabels:
    """Photos that a finder drew boxes on.

    Attributes:
        labelled: those with a find, in the table's order.
        looked_at: photos that the finder saw.
        refused: photos that a person had refused, and that it did not see.
        unreadable: photos that could not be decoded.
    """

    labelled: Sequence[LabelledPhoto]
    looked_at: int
    refused: int
    unreadable: Sequence[str]

    @property
    def photos(self) -> list[BoxedPhoto]:
        """The photos, to learn from."""
        return [one.photo for one in self.labelled]

    def counts(self) -> dict[str, Json]:
        """How many photos became of them, for a file."""
        return {
            "looked_at": self.looked_at,
            "with_a_box": len(self.labelled),
            "boxes": sum(len(one.finds) for one in self.labelled),
            "refused": self.refused,
            "unreadable": list(self.unreadable),
        }

    def table(self) -> pl.DataFrame:
        """A row for each box: image_id, its sides in shares of the photo's, and its score."""
        rows = [
            (one.photo.name, find.x0, find.y0, find.x1, find.y1, find.score)
            for one in self.labelled
            for find in one.finds
        ]
        return pl.DataFrame(rows, schema=LABEL_COLUMNS, orient="row")


def label_photos(
    images: Table,
    finder: Finder,
    folder: Path,
    labelling: Labelling,
    progress: Progress | None = None,
) -> AutoLabels:
    """Let a finder draw boxes on photos of a split.

    A photo without a find is left out: it may show a snake that the finder does not see.

    Args:
        images: the `image_table`.
        finder: finds.
        folder: an empty one, where the photos' files are put.
        labelling: which finds become boxes.
        progress: called with photos looked at and photos to look at.

    Raises:
        StorageError: the table cannot be read.
        DetectionError: the finder fails.
    """
    labelled: list[LabelledPhoto] = []
    unreadable: list[str] = []
    looked_at = left = 0
    least = labelling.least_score
    to_look_at = min(labelling.most_photos, images.manifest.rows_out)
    for rows in _spread(images, labelling.most_photos):
        wanted = [(name, data) for name, data in rows if name not in labelling.refused]
        left += len(rows) - len(wanted)
        seen = []
        for name, data in wanted:
            try:
                seen.append((name, data, fitted(decode(data), finder.longest_side)))
            except UnreadablePhoto:
                unreadable.append(name)
        found = finder.find([pixels for _, _, pixels in seen]) if seen else []
        for (name, data, _), finds in zip(seen, found, strict=True):
            looked_at += 1
            sound = [find for find in map(within_frame, finds) if find and find.score >= least]
            if sound:
                labelled.append(_labelled(name, data, sound, folder / f"{len(labelled):06}"))
        if progress:
            progress(looked_at + left + len(unreadable), to_look_at)
    return AutoLabels(labelled, looked_at, left, unreadable)


def _spread(images: Table, most_photos: int) -> Iterator[list[tuple[str, bytes]]]:
    """image_id and bytes of photos evenly spread over a table, a few at a time."""
    rows = images.manifest.rows_out
    count = min(most_photos, rows)
    # Numbers of the rows in the whole table: count of them, the first one first.
    numbers = np.unique(np.linspace(0, rows, count, endpoint=False).astype(int))
    start = 0
    for shard in images.manifest.shards:
        own = numbers[(numbers >= start) & (numbers < start + shard.rows)] - start
        start += shard.rows
        for first in range(0, len(own), PHOTOS_AT_ONCE):
            some = images.rows(shard, own[first : first + PHOTOS_AT_ONCE].tolist(), ["image_id", "image"])
            yield list(zip(some["image_id"].to_pylist(), some["image"].to_pylist(), strict=True))


def _labelled(name: str, data: bytes, finds: Sequence[Region], file: Path) -> LabelledPhoto:
    file.write_bytes(data)
    boxes = np.array([(find.x0, find.y0, find.x1, find.y1) for find in finds], dtype=np.float64)
    return LabelledPhoto(BoxedPhoto(name, file, hashlib.sha256(data).hexdigest(), boxes, "train"), finds)
