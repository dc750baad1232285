"""Photos with boxes that a person drew (SNAKE_BOXES): a folder with images/ and labels/, in YOLO text format.

    images/017.jpg          labels/017.txt             split by sides.py; or, split by whoever made them:
    images/train/017.jpg    labels/train/017.txt       images/val/018.jpg    labels/val/018.txt

Whatever class a box has, it is a snake. A photo without a label file, or with an empty one, shows no snake:
the detector learns from it what to leave alone. Where there is only images/val, all photos are for judging.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.base import fitted
from snake_assets.detection.label_text import LabelledBox, parse_labels
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.vision.decoding.decode import decode, probe
from snake_assets.vision.decoding.errors import UnreadablePhoto

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
IMAGES, LABELS = "images", "labels"
# Lists of class names that annotation tools put beside the labels.
NOT_LABELS = ("classes.txt", "labels.txt")
MOST_SHOWN = 20

Side = Literal["train", "val"]
SIDES: tuple[Side, ...] = ("train", "val")


@dataclass(frozen=True, eq=False)
class BoxedPhoto:
    """A photo and where its snakes are.

    Attributes:
        name: how it is called in messages and on sheets.
        path: of the file.
        sha256: SHA-256 of its bytes, as hex.
        boxes: float64 [N, 4]: x0 y0 x1 y1 in shares of the upright photo's sides; N = 0: it shows no snake.
        side: train or val where whoever made the folder has said so; else None.
    """

    name: str
    path: Path
    sha256: str
    boxes: NDArray[np.float64]
    side: Side | None = None


@dataclass(frozen=True, eq=False)
class BoxFiles:
    """All photos of a folder with their boxes.

    Attributes:
        photos: by name.
        without_label_file: names of photos that have none.
        empty: names of photos whose label file holds no box.
        classes: class number -> how many boxes had it.
    """

    photos: tuple[BoxedPhoto, ...]
    without_label_file: tuple[str, ...]
    empty: tuple[str, ...]
    classes: Mapping[int, int]

    @cached_property
    def digest(self) -> str:
        """Of all that a training learns from: names, bytes, boxes and sides."""
        return fingerprint(
            [[photo.name, photo.sha256, photo.boxes.tolist(), photo.side] for photo in self.photos]
        )


def read_box_files(folder: Path) -> BoxFiles:
    """Read and check a folder of photos and labels; nothing is written there.

    Raises:
        DetectionError: no such folder, no photo, no box at all, or faults; names each file and line.
    """
    images = folder / IMAGES
    if not images.is_dir():
        raise DetectionError(
            f"{folder} has no folder {IMAGES}: SNAKE_BOXES names a folder that holds {IMAGES}/ with photos, "
            f"and {LABELS}/ with a text file for each (class cx cy w h)."
        )
    faults: list[str] = []
    files = _photo_files(images, faults)
    if not files and not faults:
        raise DetectionError(
            f"{images} holds no photo ({' '.join(SUFFIXES)}): set SNAKE_BOXES to another folder."
        )
    wanted: dict[Path, Path] = {}
    labels: dict[str, list[LabelledBox] | None] = {}
    photos = []
    for file, side in files:
        name = file.relative_to(images).as_posix()
        label_file = (folder / LABELS / name).with_suffix(".txt")
        if (other := wanted.setdefault(label_file, file)) is not file:
            faults.append(f"{IMAGES}/{name}: has the label file of {other.name}; rename one of both")
        labels[name] = _read_labels(label_file, folder, faults)
        if (digest := _checked_digest(file, f"{IMAGES}/{name}", faults)) is not None:
            boxes = [(box.x0, box.y0, box.x1, box.y1) for box in labels[name] or ()]
            photos.append(BoxedPhoto(name, file, digest, np.array(boxes).reshape(-1, 4), side))
    faults += [
        f"{file.relative_to(folder)}: there is no photo of this name in {IMAGES}"
        for file in sorted((folder / LABELS).rglob("*.txt"))
        if file not in wanted and file.name not in NOT_LABELS
    ]
    _raise_faults(folder, faults)
    if not any(labels.values()):
        raise DetectionError(
            f"{folder} has {len(photos)} photos and no box: draw some, or correct the labels."
        )
    return BoxFiles(
        tuple(photos),
        without_label_file=tuple(name for name, boxes in labels.items() if boxes is None),
        empty=tuple(name for name, boxes in labels.items() if boxes == []),
        classes=dict(sorted(Counter(box.number for boxes in labels.values() for box in boxes or ()).items())),
    )


def pixels_of(photo: BoxedPhoto, longest_side: int) -> NDArray[np.uint8]:
    """A photo no larger than that, uint8 [H, W, 3]. Raises DetectionError where it cannot be read."""
    try:
        return fitted(decode(photo.path.read_bytes()), longest_side)
    except (OSError, UnreadablePhoto) as error:
        raise DetectionError(f"{photo.path} cannot be read ({error}): mend or remove it.") from error


def _photo_files(images: Path, faults: list[str]) -> list[tuple[Path, Side | None]]:
    """The photos by name, with their official side where there are folders for sides."""
    inside = sorted(path for path in images.iterdir() if not path.name.startswith("."))
    if not any((images / side).is_dir() for side in SIDES):
        return [(file, None) for file in _photos_of(inside, images, faults)]
    faults += [
        f"{IMAGES}/{path.name}: beside {IMAGES}/train and {IMAGES}/val nothing else is read; move it away"
        for path in inside
        if path.name not in SIDES
    ]
    found: list[tuple[Path, Side | None]] = []
    for side in SIDES:
        below = sorted((images / side).rglob("*")) if (images / side).is_dir() else []
        found += [(file, side) for file in _photos_of(filter(Path.is_file, below), images, faults)]
    if not any(side == "val" for _, side in found):
        faults.append(
            f"{IMAGES}/val: has no photo to judge by; add some, or put all photos right into {IMAGES}"
        )
    return found


def _photos_of(paths: Iterable[Path], images: Path, faults: list[str]) -> Iterator[Path]:
    for path in paths:
        if path.name.startswith("."):
            continue
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            yield path
        else:
            kind = "a folder" if path.is_dir() else "no photo by its name"
            faults.append(f"{IMAGES}/{path.relative_to(images).as_posix()}: is {kind}; move it away")


def _read_labels(file: Path, folder: Path, faults: list[str]) -> list[LabelledBox] | None:
    """The boxes of a label file; None where there is no file."""
    name = file.relative_to(folder).as_posix()
    try:
        boxes, wrong = parse_labels(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{name}: cannot be read as text ({error})")
        return []
    faults += [f"{name}, {fault}" for fault in wrong]
    return boxes


def _checked_digest(file: Path, name: str, faults: list[str]) -> str | None:
    try:
        data = file.read_bytes()
        probe(data)
    except (OSError, UnreadablePhoto) as error:
        faults.append(f"{name}: cannot be read ({error})")
        return None
    return hashlib.sha256(data).hexdigest()


def _raise_faults(folder: Path, faults: list[str]) -> None:
    if not faults:
        return
    shown = "\n".join(f"- {fault}" for fault in faults[:MOST_SHOWN])
    more = f"\n- … and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
    raise DetectionError(f"{folder} has {len(faults)} faults; mend or remove these files:\n{shown}{more}")
