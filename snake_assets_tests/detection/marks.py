"""A finder that needs no model: what is red in a photo is a snake. And photos with red marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.preprocessing.crops import mask_to_bytes
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.vision.conftest import encode, picture

Box = tuple[float, float, float, float]


@dataclass
class MarkFinder:
    """Finds the bounding box of all red pixels; remembers the shapes of the photos it was shown."""

    name: str = "marks"
    masks: bool = False
    device: str = "cpu"
    longest_side: int = 200
    warning: str | None = None
    shown: list[tuple[int, ...]] = field(default_factory=list)

    def fingerprint_parts(self) -> Mapping[str, Json]:
        return {"finder": self.name, "masks": self.masks}

    def find(self, photos: Sequence[NDArray[np.uint8]]) -> list[list[Region]]:
        self.shown += [photo.shape for photo in photos]
        return [self._find(photo.astype(int)) for photo in photos]

    def _find(self, photo: NDArray[np.int_]) -> list[Region]:
        red = (photo[..., 0] > 200) & (photo[..., 1:].max(axis=2) < 60)
        if not red.any():
            return []
        rows, columns = (np.flatnonzero(red.any(axis=axis)) for axis in (1, 0))
        height, width = red.shape
        x0, x1 = columns[0] / width, (columns[-1] + 1) / width
        y0, y1 = rows[0] / height, (rows[-1] + 1) / height
        return [Region(x0, y0, x1, y1, 0.75, "mark", mask_to_bytes(red) if self.masks else None)]


@dataclass(frozen=True)
class Finds:
    """A finder that says the same of every photo."""

    regions: tuple[Region, ...]
    device: str = "cpu"
    longest_side: int = 640
    warning: str | None = None

    def fingerprint_parts(self) -> Mapping[str, Json]:
        return {"finder": "the same"}

    def find(self, photos: Sequence[NDArray[np.uint8]]) -> list[list[Region]]:
        return [list(self.regions) for _ in photos]


def marked(width: int, height: int, box: Box | None, seed: int = 0, kind: str = "JPEG") -> bytes:
    """A photo file with a red mark, `box` in shares of its sides; without a mark where that is None."""
    photo = np.minimum(np.array(picture(width, height, seed)), 180)
    if box is not None:
        x0, y0, x1, y1 = box
        photo[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)] = (255, 0, 0)
    return encode(Image.fromarray(photo), kind)


def image_table(
    root: Path, photos: Mapping[str, bytes], shard_rows: int = 4, most_rejected: float = 0.5
) -> Table:
    """An `image_table` of the split train."""
    folder = root / "data" / "train"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in photos.items():
        (folder / name).write_bytes(data)
    rows = [PhotoRow(name, name, f"train/{name}", n % 3) for n, name in enumerate(photos)]
    ingest(
        rows,
        find_photos(root / "data", "train"),
        "train",
        root / "image_table",
        shard_rows,
        most_rejected=most_rejected,
    )
    return open_table(root / "image_table")
