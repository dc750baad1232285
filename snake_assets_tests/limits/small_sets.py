"""Raw data sets in the official layout, of any few photos and any species."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from snake_assets.snakeclef.metadata import METADATA_FILES, SPLITS, TEST_COLUMNS, VENOM_LIST

COLUMNS = ("observation_id", "endemic", "binomial_name", "code", "image_path", "class_id")


@dataclass(frozen=True)
class Photo:
    """A photo of a split: its place below the split's photo folder, what it is of, and its seed."""

    split: str
    observation: str
    class_id: int
    name: str
    seed: int


def photos_of(split: str, classes: Sequence[int], in_an_observation: int = 1) -> list[Photo]:
    """A photo for each of `classes`, `in_an_observation` of them after each other."""
    return [
        Photo(
            split,
            f"{split}-{number // in_an_observation}",
            class_id,
            f"{number}.jpg",
            1000 * class_id + 100 * SPLITS.index(split) + number,
        )
        for number, class_id in enumerate(classes)
    ]


def write_set(root: Path, photos: Collection[Photo], venomous: Mapping[int, bool]) -> Path:
    """Write small pictures with their metadata, and the venom list; every split has its file."""
    metadata = root / "metadata"
    metadata.mkdir(parents=True)
    _write(metadata / VENOM_LIST, ("class_id", "MIVS"), [(one, int(bad)) for one, bad in venomous.items()])
    for split, (file, *_) in METADATA_FILES.items():
        own = [photo for photo in photos if photo.split == split]
        for photo in own:
            path = root / file.photo_folder / photo.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_picture(photo))
        if split == "test":
            _write(metadata / file.name, TEST_COLUMNS, [(p.observation, p.name) for p in own])
        else:
            rows = [
                (p.observation, False, f"Genus species{p.class_id}", "DE", p.name, p.class_id) for p in own
            ]
            _write(metadata / file.name, COLUMNS, rows)
    return root


def _picture(photo: Photo) -> bytes:
    """Coarse noise around the colour of its species."""
    colour = np.random.default_rng(photo.class_id).integers(60, 196, 3)
    noise = np.random.default_rng(photo.seed).integers(-50, 50, (5, 6, 3))
    encoded = io.BytesIO()
    coarse = Image.fromarray((colour + noise).astype(np.uint8))
    coarse.resize((48, 40), Image.Resampling.BICUBIC).save(encoded, "JPEG")
    return encoded.getvalue()


def _write(file: Path, columns: Sequence[str], rows: Collection[Sequence[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
