"""The drawn snake set in the official layout: which photos it holds, under which names, in which files."""

import csv
import io
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from snake_assets.demo.folder import Stamp, place_folder
from snake_assets.demo.photo import draw_photo
from snake_assets.demo.species import DEMO_SPECIES, PHOTOLESS_CLASSES, DemoSpecies

# Raised whenever the same seed would give other bytes; a set of another version is not taken for this one.
DRAWING_VERSION = 2
DEMO_SEED = 2024
SPLITS = ("train", "val", "test")
# Each split has one photo of each that cannot be read, by intention.
FAULTS = ("truncated", "empty", "text", "missing")
NOT_A_PHOTO = b"<!DOCTYPE html>\n<title>404</title>\n<p>This photo is no longer here.</p>\n"

# Observations for each one of train, and the fewest of a species.
OBSERVATIONS = {"train": (1.0, 3), "val": (0.24, 1), "test": (0.24, 1)}
# Chances of 1, 2, … photos, and of extensions and sizes.
PHOTOS_PER_OBSERVATION = (0.66, 0.20, 0.08, 0.04, 0.02)
EXTENSIONS = {".jpg": 0.6, ".jpeg": 0.22, ".JPG": 0.08, ".png": 0.07, ".PNG": 0.03}
SIZES = {(320, 240): 0.62, (352, 264): 0.14, (240, 320): 0.14, (288, 288): 0.10}

# Source -> its metadata file, the columns of that, and what it says of itself in the column subset.
METADATA: Mapping[str, tuple[str, str, str]] = {
    "iNat": (
        "SnakeCLEF2023-TrainMetadata-iNat.csv",
        "observation_id endemic binomial_name code image_path class_id subset",
        "train",
    ),
    "HM": (
        "SnakeCLEF2023-TrainMetadata-HM.csv",
        "observation_id binomial_name image_path subset code endemic class_id",
        "train-hm",
    ),
    "val": (
        "SnakeCLEF2023-ValMetadata.csv",
        "observation_id captive endemic binomial_name code image_path class_id subset",
        "val",
    ),
    "test": ("SnakeCLEF2024-TestMetadata.csv", "observation_id filename", "test"),
}

Numbers = Iterator[int]


@dataclass(frozen=True)
class PlannedPhoto:
    """One metadata row and the file it names.

    `file` is the file's path below the set's root, `listed_as` the path that the metadata gives; both with
    forward slashes. `size` is (width, height) in pixels. The seeds are those of `draw_photo`'s generators.
    A photo with a `fault`, one of FAULTS, cannot be read.
    """

    split: str
    source: str
    species: DemoSpecies
    observation_id: str
    code: str
    captive: bool
    file: str
    listed_as: str
    size: tuple[int, int]
    snake_seed: tuple[int, ...]
    photo_seed: tuple[int, ...]
    fault: str | None = None


def plan_demo_set(seed: int = DEMO_SEED, *, share: float = 1.0) -> tuple[PlannedPhoto, ...]:
    """Every photo of the demo set, split by split in the order of the metadata.

    `share` (above 0, at most 1) shrinks the number of observations; every species keeps at least three
    observations in train and one in val and in test. Each split has one file of each fault; in test, the
    empty one and the text are all that one observation has. Raises ValueError for another share.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie above 0 and be at most 1, not {share}")
    draws = np.random.default_rng([seed, 0])
    # Never the same twice: of observations and of photos.
    numbers = iter((draws.permutation(900_000) + 100_000).tolist())
    return tuple(photo for split in SPLITS for photo in _plan_split(seed, share, split, numbers))


def _plan_split(seed: int, share: float, split: str, numbers: Numbers) -> list[PlannedPhoto]:
    draws = np.random.default_rng([seed, 4, SPLITS.index(split)])
    index = 100_000 * SPLITS.index(split)
    per_train_observation, fewest = OBSERVATIONS[split]
    photos: list[PlannedPhoto] = []
    for species in DEMO_SPECIES:
        wanted = species.train_observations * per_train_observation * share
        for ordinal in range(max(fewest, round(wanted))):
            drawn = 1 + int(draws.choice(len(PHOTOS_PER_OBSERVATION), p=PHOTOS_PER_OBSERVATION))
            # Never one of a species' first three observations: a reader without the HM file still has those.
            source = split if split != "train" else "HM" if ordinal % 7 == 3 else "iNat"
            count = max(drawn, 2) if ordinal == 0 else drawn
            photos += _observe(seed, species, split, source, count, index, numbers)
            index += 1
    if split == "test":
        _break_some(photos, ("truncated", "missing"), draws)
        common = max(DEMO_SPECIES, key=lambda species: species.train_observations)
        unreadable = _observe(seed, common, split, split, 2, index, numbers)
        photos += [_broken(photo, fault) for photo, fault in zip(unreadable, ("empty", "text"), strict=True)]
    else:
        _break_some(photos, FAULTS, draws)
    return [photos[position] for position in draws.permutation(len(photos))]


def _observe(
    seed: int, species: DemoSpecies, split: str, source: str, photos: int, index: int, numbers: Numbers
) -> list[PlannedPhoto]:
    """The photos of one observation; `index` is unique to it and fixes all its random choices."""
    draws = np.random.default_rng([seed, 1, index])
    first = PlannedPhoto(
        split=split,
        source=source,
        species=species,
        observation_id=f"HM {next(numbers)}" if source == "HM" else str(next(numbers)),
        code=str(draws.choice(species.codes)),
        captive=bool(split == "val" and draws.random() < 0.08),
        file="",
        listed_as="",
        size=(0, 0),
        snake_seed=(seed, 2, index),
        photo_seed=(),
    )
    year = int(draws.integers(2004, 2024))
    planned = []
    for number in range(photos):
        extension = str(draws.choice(list(EXTENSIONS), p=list(EXTENSIONS.values())))
        size = list(SIZES)[int(draws.choice(len(SIZES), p=list(SIZES.values())))]
        if source == "test":
            listed_as = f"{uuid.UUID(bytes=draws.bytes(16), version=4)}{extension}"
        else:
            folder = "HMP" if source == "HM" else year
            listed_as = f"{folder}/{species.folder}/{next(numbers)}{extension}"
        below = "" if source in ("HM", "test") else "SnakeCLEF2023-small_size/"
        file = f"{split}/{below}{listed_as}"
        seeds = (seed, 3, index, number)
        planned.append(replace(first, file=file, listed_as=listed_as, size=size, photo_seed=seeds))
    return planned


def _broken(photo: PlannedPhoto, fault: str) -> PlannedPhoto:
    file, listed_as = (path.rpartition(".")[0] + ".jpg" for path in (photo.file, photo.listed_as))
    return replace(photo, fault=fault, file=file, listed_as=listed_as)


def _break_some(photos: list[PlannedPhoto], faults: Sequence[str], draws: np.random.Generator) -> None:
    """Break the last photo of as many observations as there are faults; each keeps a sound photo."""
    sizes = Counter(photo.observation_id for photo in photos)
    several = [observation_id for observation_id, count in sizes.items() if count > 1]
    last = {photo.observation_id: position for position, photo in enumerate(photos)}
    for observation_id, fault in zip(draws.choice(several, len(faults), replace=False), faults, strict=True):
        photos[last[observation_id]] = _broken(photos[last[observation_id]], fault)


def draw_demo_set(root: Path, *, seed: int = DEMO_SEED, share: float = 1.0) -> None:
    """Draw the demo set into the folder `root`, in the official layout of SnakeCLEF.

    The same arguments give the same bytes on the same machine. `share` (above 0, at most 1) draws a smaller
    set; `plan_demo_set` tells what is drawn. The folder appears whole at the end, and where it already holds
    this very set, nothing is done. Raises ForeignFolderError when `root` holds anything else, and ValueError
    for another share.
    """
    plan = plan_demo_set(seed, share=share)

    def fill(folder: Path) -> None:
        metadata = folder / "metadata"
        metadata.mkdir()
        for source, (name, columns, subset) in METADATA.items():
            rows = (_row(photo, subset) for photo in plan if photo.source == source)
            _write_csv(metadata / name, columns.split(), rows)
        listed = {species.class_id: species.venomous for species in DEMO_SPECIES} | PHOTOLESS_CLASSES
        order = np.random.default_rng([seed, 5]).permutation(list(listed)).tolist()
        classes = ({"class_id": class_id, "MIVS": int(listed[class_id])} for class_id in order)
        _write_csv(metadata / "venomous_status_list.csv", ("class_id", "MIVS"), classes)
        for photo in plan:
            if photo.fault != "missing":
                file = folder / photo.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(_photo_bytes(photo))

    stamp: Stamp = {"holds": "drawn snake set", "version": DRAWING_VERSION, "seed": seed, "share": share}
    place_folder(root, stamp, fill)


def _row(photo: PlannedPhoto, subset: str) -> dict[str, str | int | bool]:
    return {
        "observation_id": photo.observation_id,
        "endemic": photo.species.endemic,
        "binomial_name": photo.species.binomial_name,
        "code": photo.code,
        "captive": photo.captive,
        "image_path": photo.listed_as,
        "filename": photo.listed_as,
        "class_id": photo.species.class_id,
        "subset": subset,
    }


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _photo_bytes(photo: PlannedPhoto) -> bytes:
    if photo.fault == "empty":
        return b""
    if photo.fault == "text":
        return NOT_A_PHOTO
    snake, moment = (np.random.default_rng(seed) for seed in (photo.snake_seed, photo.photo_seed))
    drawn = Image.fromarray(draw_photo(photo.species, photo.size, snake, moment))
    encoded = io.BytesIO()
    if photo.file.lower().endswith(".png"):
        drawn.save(encoded, "PNG", compress_level=3)
    else:
        drawn.save(encoded, "JPEG", quality=88)
    whole = encoded.getvalue()
    return whole[: len(whole) // 3] if photo.fault == "truncated" else whole
