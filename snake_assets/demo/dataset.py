"""Writes the drawn snake set in the official layout."""

import csv
import io
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from snake_assets.demo.scene import Stamp, draw_photo, meet_individual, place_folder
from snake_assets.demo.species import DEMO_SPECIES, PHOTOLESS_CLASSES, DemoSpecies

# Which photos the demo set holds, under which names: everything but the pixels.


Split = Literal["train", "val", "test"]
Source = Literal["iNat", "HM", "val", "test"]
Fault = Literal["truncated", "empty", "text", "missing"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")
FAULTS: tuple[Fault, ...] = ("truncated", "empty", "text", "missing")

DEMO_SEED = 2024

_OBSERVATIONS_PER_TRAIN_OBSERVATION: dict[Split, float] = {"train": 1.0, "val": 0.24, "test": 0.24}
_FEWEST: dict[Split, int] = {"train": 3, "val": 1, "test": 1}
_PHOTOS_PER_OBSERVATION = (0.66, 0.20, 0.08, 0.04, 0.02)
_EXTENSIONS = ((".jpg", 0.6), (".jpeg", 0.22), (".JPG", 0.08), (".png", 0.07), (".PNG", 0.03))
_SIZES = (((320, 240), 0.62), ((352, 264), 0.14), ((240, 320), 0.14), ((288, 288), 0.10))


@dataclass(frozen=True)
class PlannedPhoto:
    """One metadata row and the file it names.

    `file` is the file's path below the set's root, `listed_as` the path that the metadata gives; both with
    forward slashes. `size` is (width, height) in pixels. A photo with a `fault` cannot be read, by intention.
    """

    split: Split
    source: Source
    species: DemoSpecies
    observation_id: str
    code: str
    captive: bool
    file: str
    listed_as: str
    size: tuple[int, int]
    individual_seed: tuple[int, ...]
    photo_seed: tuple[int, ...]
    fault: Fault | None = None


@dataclass(frozen=True)
class SplitCounts:
    """How much one split of the demo set holds; `photos` counts metadata rows, the broken ones included."""

    photos: int
    broken: int
    observations: int


class _Numbers:
    """Hands out observation ids and photo numbers that never repeat."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._observations = iter(rng.choice(900_000, 4000, replace=False) + 100_000)
        self._herp_mapper = iter(rng.choice(18_000, 1000, replace=False) + 1_000)
        self._photos = iter(rng.choice(900_000, 9000, replace=False) + 100_000)

    def observation_id(self, source: Source) -> str:
        return f"HM {next(self._herp_mapper)}" if source == "HM" else str(next(self._observations))

    def photo(self) -> int:
        return int(next(self._photos))


def _names(
    source: Source, species: DemoSpecies, year: int, number: int, extension: str, rng: np.random.Generator
) -> tuple[str, str]:
    """(path below the root, path as the metadata lists it) of a new photo."""
    if source == "test":
        name = f"{uuid.UUID(bytes=rng.bytes(16), version=4)}{extension}"
        return f"test/{name}", name
    if source == "HM":
        path = f"HMP/{species.folder}/{number}{extension}"
        return f"train/{path}", path
    split = "val" if source == "val" else "train"
    path = f"{year}/{species.folder}/{number}{extension}"
    return f"{split}/SnakeCLEF2023-small_size/{path}", path


def _observe(
    seed: int, species: DemoSpecies, split: Split, source: Source, photos: int, index: int, numbers: _Numbers
) -> list[PlannedPhoto]:
    """The photos of one observation; `index` is unique to it and fixes all its random choices."""
    rng = np.random.default_rng([seed, 1, index])
    observation_id = numbers.observation_id(source)
    code = species.codes[int(rng.integers(len(species.codes)))]
    captive = bool(split == "val" and rng.random() < 0.08)
    year = int(rng.integers(2004, 2024))
    planned = []
    for number in range(photos):
        extension = str(rng.choice([name for name, _ in _EXTENSIONS], p=[share for _, share in _EXTENSIONS]))
        size = _SIZES[int(rng.choice(len(_SIZES), p=[share for _, share in _SIZES]))][0]
        file, listed_as = _names(source, species, year, numbers.photo(), extension, rng)
        planned.append(
            PlannedPhoto(
                split=split,
                source=source,
                species=species,
                observation_id=observation_id,
                code=code,
                captive=captive,
                file=file,
                listed_as=listed_as,
                size=size,
                individual_seed=(seed, 2, index),
                photo_seed=(seed, 3, index, number),
            )
        )
    return planned


def _source(split: Split, ordinal: int) -> Source:
    if split == "train":
        # Never one of a species' first three observations: a reader without the HM file still has those.
        return "HM" if ordinal % 7 == 3 else "iNat"
    return split


def _break(photo: PlannedPhoto, fault: Fault) -> PlannedPhoto:
    def renamed(path: str) -> str:
        return path.rpartition(".")[0] + ".jpg"

    return replace(photo, fault=fault, file=renamed(photo.file), listed_as=renamed(photo.listed_as))


def _break_some(photos: list[PlannedPhoto], faults: Sequence[Fault], rng: np.random.Generator) -> None:
    """Breaks the last photo of as many observations as there are faults; each keeps a sound photo."""
    sizes = Counter(photo.observation_id for photo in photos)
    several = [observation_id for observation_id, count in sizes.items() if count > 1]
    chosen = rng.choice(several, len(faults), replace=False)
    last = {photo.observation_id: position for position, photo in enumerate(photos)}
    for observation_id, fault in zip(chosen.tolist(), faults, strict=True):
        photos[last[observation_id]] = _break(photos[last[observation_id]], fault)


def _plan_split(seed: int, share: float, split: Split, numbers: _Numbers) -> list[PlannedPhoto]:
    rng = np.random.default_rng([seed, 4, SPLITS.index(split)])
    index = 100_000 * SPLITS.index(split)
    photos: list[PlannedPhoto] = []
    for species in DEMO_SPECIES:
        wanted = species.train_observations * _OBSERVATIONS_PER_TRAIN_OBSERVATION[split] * share
        for ordinal in range(max(_FEWEST[split], round(wanted))):
            drawn = 1 + int(rng.choice(len(_PHOTOS_PER_OBSERVATION), p=_PHOTOS_PER_OBSERVATION))
            count = max(drawn, 2) if ordinal == 0 else drawn
            photos += _observe(seed, species, split, _source(split, ordinal), count, index, numbers)
            index += 1
    if split == "test":
        _break_some(photos, ("truncated", "missing"), rng)
        common = max(DEMO_SPECIES, key=lambda species: species.train_observations)
        unreadable = _observe(seed, common, split, "test", 2, index, numbers)
        photos += [_break(unreadable[0], "empty"), _break(unreadable[1], "text")]
    else:
        _break_some(photos, FAULTS, rng)
    return [photos[position] for position in rng.permutation(len(photos))]


def plan_demo_set(seed: int = DEMO_SEED, *, share: float = 1.0) -> tuple[PlannedPhoto, ...]:
    """Every photo of the demo set, split by split in the order of the metadata.

    `share` (above 0, at most 1) shrinks the number of observations; every species keeps at least three
    observations in train and one in val and in test. Each split has one file of each fault; in test, the
    empty one and the text are all that one observation has. Raises ValueError for another share.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie above 0 and be at most 1, not {share}")
    numbers = _Numbers(np.random.default_rng([seed, 0]))
    return tuple(photo for split in SPLITS for photo in _plan_split(seed, share, split, numbers))


def demo_counts(seed: int = DEMO_SEED, *, share: float = 1.0) -> dict[Split, SplitCounts]:
    """What `draw_demo_set` with the same arguments writes, split by split."""
    plan = plan_demo_set(seed, share=share)
    counts = {}
    for split in SPLITS:
        photos = [photo for photo in plan if photo.split == split]
        counts[split] = SplitCounts(
            photos=len(photos),
            broken=sum(photo.fault is not None for photo in photos),
            observations=len({photo.observation_id for photo in photos}),
        )
    return counts


def demo_test_truth(seed: int = DEMO_SEED, *, share: float = 1.0) -> dict[str, int]:
    """The class_id of every test observation, which the set itself does not tell."""
    plan = plan_demo_set(seed, share=share)
    return {photo.observation_id: photo.species.class_id for photo in plan if photo.split == "test"}


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
