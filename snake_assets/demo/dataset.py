"""Writes the drawn snake set in the official layout."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from snake_assets.demo.draw import draw_photo, meet_individual
from snake_assets.demo.placing import Stamp, place_folder
from snake_assets.demo.plan import DEMO_SEED, PlannedPhoto, Source, plan_demo_set
from snake_assets.demo.species import DEMO_SPECIES, PHOTOLESS_CLASSES

# Raised whenever the same seed would give other bytes; a set of another version is not taken for this one.
DRAWING_VERSION = 1

_METADATA: dict[Source, tuple[str, tuple[str, ...]]] = {
    "iNat": (
        "SnakeCLEF2023-TrainMetadata-iNat.csv",
        ("observation_id", "endemic", "binomial_name", "code", "image_path", "class_id", "subset"),
    ),
    "HM": (
        "SnakeCLEF2023-TrainMetadata-HM.csv",
        ("observation_id", "binomial_name", "image_path", "subset", "code", "endemic", "class_id"),
    ),
    "val": (
        "SnakeCLEF2023-ValMetadata.csv",
        ("observation_id", "captive", "endemic", "binomial_name", "code", "image_path", "class_id", "subset"),
    ),
    "test": ("SnakeCLEF2024-TestMetadata.csv", ("observation_id", "filename")),
}
_SUBSETS: dict[Source, str] = {"iNat": "train", "HM": "train-hm", "val": "val", "test": "test"}

_NOT_A_PHOTO = b"<!DOCTYPE html>\n<title>404</title>\n<p>This photo is no longer here.</p>\n"


def _row(photo: PlannedPhoto) -> dict[str, str | int | bool]:
    return {
        "observation_id": photo.observation_id,
        "endemic": photo.species.endemic,
        "binomial_name": photo.species.binomial_name,
        "code": photo.code,
        "captive": photo.captive,
        "image_path": photo.listed_as,
        "filename": photo.listed_as,
        "class_id": photo.species.class_id,
        "subset": _SUBSETS[photo.source],
    }


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[dict[str, str | int | bool]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _photo_bytes(photo: PlannedPhoto) -> bytes:
    if photo.fault == "empty":
        return b""
    if photo.fault == "text":
        return _NOT_A_PHOTO
    individual = meet_individual(photo.species, np.random.default_rng(photo.individual_seed))
    pixels = draw_photo(photo.species, np.random.default_rng(photo.photo_seed), photo.size, individual)
    coded = io.BytesIO()
    if photo.file.lower().endswith(".png"):
        Image.fromarray(pixels).save(coded, "PNG", compress_level=3)
    else:
        Image.fromarray(pixels).save(coded, "JPEG", quality=88)
    whole = coded.getvalue()
    return whole[: len(whole) // 3] if photo.fault == "truncated" else whole


def _write_venom_list(file: Path, seed: int) -> None:
    listed = [(species.class_id, species.venomous) for species in DEMO_SPECIES] + list(PHOTOLESS_CLASSES)
    order = np.random.default_rng([seed, 5]).permutation(len(listed))
    rows: list[dict[str, str | int | bool]] = [
        {"class_id": listed[position][0], "MIVS": int(listed[position][1])} for position in order
    ]
    _write_csv(file, ("class_id", "MIVS"), rows)


def draw_demo_set(root: Path, *, seed: int = DEMO_SEED, share: float = 1.0) -> None:
    """Draws the demo set into the folder `root`, in the official layout of SnakeCLEF.

    The same arguments give the same bytes on the same machine. `share` (above 0, at most 1) draws a smaller
    set; `plan.demo_counts` tells how much is drawn. The folder appears whole at the end, and where it already
    holds this very set, nothing is done. Raises ForeignFolderError when `root` holds anything else, and
    ValueError for another share.
    """
    plan = plan_demo_set(seed, share=share)

    def fill(folder: Path) -> None:
        metadata = folder / "metadata"
        metadata.mkdir()
        for source, (name, columns) in _METADATA.items():
            _write_csv(metadata / name, columns, (_row(photo) for photo in plan if photo.source == source))
        _write_venom_list(metadata / "venomous_status_list.csv", seed)
        for photo in plan:
            if photo.fault != "missing":
                file = folder / photo.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(_photo_bytes(photo))

    stamp: Stamp = {"holds": "drawn snake set", "version": DRAWING_VERSION, "seed": seed, "share": share}
    place_folder(root, stamp, fill)
