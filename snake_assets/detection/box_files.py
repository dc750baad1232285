"""Photos with boxes that a person drew (SNAKE_BOXES), as the tools that people draw with leave them.

Read are YOLO text (boxes, polygons, a sixth number with a confidence), COCO's JSON, and Pascal VOC's and
CVAT's XML, in whatever folders they lie. No library does it: supervision 0.31 names neither file nor line of
a fault, does not read CVAT's XML, and brings PyAV; ultralytics' converter of COCO writes to any path that the
JSON names, and is the only one there. Whatever class a box has, it is a snake. A photo without a box shows
none: the detector learns from it what to leave alone.
"""

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from snake_assets.detection.finders.base import DetectionError, fitted
from snake_assets.storage.fingerprints import bytes_digest, fingerprint
from snake_assets.vision.decoding.decode import decode, probe
from snake_assets.vision.errors import UnreadablePhoto

# fmt: off
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
    ".heic", ".heif", ".avif", ".jp2",
)
# fmt: on
# Lists that annotation tools put beside the labels.
NOT_LABELS = ("classes.txt", "labels.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
# "train", "valid", and "obj_train_data" as CVAT has it.
SIDE = re.compile(r"(?:obj_)?(train|val|valid|validation|test)(?:_data)?", re.IGNORECASE)
# Tools round to 4 to 6 digits; a box that reaches further beyond the frame is a mistake.
OVERHANG = 0.01
MOST_SHOWN = 20

# Whatever a file raises that is not as its format has it.
UNREADABLE = (
    OSError,
    ElementTree.ParseError,
    RecursionError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)

Name = PurePosixPath
# Where it stands in its file, its class, and x0 y0 x1 y1 or what is wrong with it.
Drawn = tuple[str, str, Sequence[float] | str]
# A photo as a file of labels names it, the width and height that boxes are shares of, and its boxes.
Labelled = tuple[str, tuple[float, float], list[Drawn]]


@dataclass(frozen=True, eq=False)
class BoxedPhoto:
    """A photo and where its snakes are.

    Attributes:
        name: its path in the folder.
        path: of the file.
        sha256: SHA-256 of its bytes, as hex.
        boxes: float64 [N, 4]: x0 y0 x1 y1 in shares of the upright photo's sides; N = 0: it shows no snake.
        held_out: whether whoever made the folder has held it out (val, valid, test) or not (train), or None.
    """

    name: str
    path: Path
    sha256: str
    boxes: NDArray[np.float64]
    held_out: bool | None = None

    def pixels(self, longest_side: int) -> NDArray[np.uint8]:
        """The photo no larger than that, uint8 [H, W, 3]. Raises DetectionError where it cannot be read."""
        try:
            return fitted(decode(self.path.read_bytes()), longest_side)
        except (OSError, UnreadablePhoto) as error:
            raise DetectionError(f"{self.path} cannot be read ({error}): mend or remove it.") from error


@dataclass(frozen=True, eq=False)
class BoxFiles:
    """All photos of a folder with their boxes.

    Attributes:
        photos: by name.
        classes: what the boxes are called, by name or number -> how many.
        not_read: files that are neither photos nor labels.
    """

    photos: tuple[BoxedPhoto, ...]
    classes: Mapping[str, int]
    not_read: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of all that a training learns from."""
        return fingerprint([[p.name, p.sha256, p.boxes.tolist(), p.held_out] for p in self.photos])


@dataclass(frozen=True)
class HeldOut:
    """Which photos a detector learns from, which it is judged by, and which repeat one of these."""

    training: tuple[BoxedPhoto, ...]
    held_out: tuple[BoxedPhoto, ...]
    left_out: tuple[BoxedPhoto, ...]


def hold_out(photos: Sequence[BoxedPhoto], share: float, seed: int) -> HeldOut:
    """Split photos; exact copies stay together, and photos that have a side of their own keep it.

    Of the others, groups of copies are held out in the order of a hash of the seed and the bytes, until there
    are enough: with a photo more, hardly any changes its side. `share` is above 0 and below 1.

    Raises:
        DetectionError: no photo with a box would be on one of the sides.
    """
    out = {photo.sha256 for photo in photos if photo.held_out}
    if not out:
        copies = Counter(photo.sha256 for photo in photos)
        wanted, taken = math.ceil(share * len(photos)), 0
        for digest in sorted(copies, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest()):
            if taken + copies[digest] <= wanted:
                out.add(digest)
                taken += copies[digest]
    repeats = [photo for photo in photos if photo.sha256 in out]
    sides = HeldOut(
        training=tuple(photo for photo in photos if photo.sha256 not in out),
        held_out=tuple(photo for photo in repeats if photo.held_out is not False),
        left_out=tuple(photo for photo in repeats if photo.held_out is False),
    )
    for kind, some in (("to learn from", sides.training), ("held out", sides.held_out)):
        if not any(len(photo.boxes) for photo in some):
            raise DetectionError(
                f"Of {len(photos)} photos {len(some)} are {kind}, and none of them has a box: draw boxes on "
                "more photos, or set another held_out or seed."
            )
    return sides


def read_box_files(folder: Path) -> BoxFiles:
    """Read and check a folder of photos and labels; nothing is written there.

    Raises:
        DetectionError: no photo, no box at all, or faults; names each file and line.
    """
    named = {Name(path.relative_to(folder).as_posix()): path for path in sorted(folder.rglob("*"))}
    files = {name: path for name, path in named.items() if path.is_file() and not _hidden(name)}
    paths = {name: path for name, path in files.items() if name.suffix.lower() in SUFFIXES}
    if not paths:
        raise DetectionError(
            f"{folder} holds no photo ({' '.join(SUFFIXES)}): set SNAKE_BOXES to a folder with photos and "
            "their boxes, as YOLO text, COCO JSON, Pascal VOC or CVAT XML."
        )
    by_stem: dict[str, list[Name]] = defaultdict(list)
    for name in paths:
        by_stem[name.stem].append(name)
    faults, not_read, homes = list[str](), list[str](), {name.parent for name in paths}
    boxes, classes = dict[Name, list[tuple[float, ...]]](), Counter[str]()
    for name in (name for name in files if name not in paths):
        try:
            told = _labels(name, files[name], by_stem, homes)
        except UNREADABLE as error:
            faults.append(f"{name}: is not as its format has it ({error!r})")
            continue
        if told is None:
            not_read.append(str(name))
        for photo_name, size, drawn in told or ():
            found = _photos_called(photo_name, name, by_stem)
            if len(found) != 1:
                faults.append(f"{name}: is about {photo_name}, and {len(found)} photos are called so")
            elif found[0] in boxes:
                faults.append(f"{name}: is about {photo_name}, which has boxes in another file too")
            else:
                boxes[found[0]] = _sound_boxes(name, size, drawn, classes, faults)
    sides_of = {name: _held_out(name) for name in paths}
    if not {True, False} <= set(sides_of.values()):
        sides_of = dict.fromkeys(paths)
    elif None in sides_of.values():
        outside = [name for name, side in sides_of.items() if side is None]
        faults += [f"{name}: lies in none of the folders train, val (valid) and test" for name in outside]
    photos = []
    for name, path in paths.items():
        try:
            data = path.read_bytes()
            probe(data)
            str(name).encode()
        except (OSError, UnreadablePhoto, UnicodeEncodeError) as error:
            shown = str(name).encode(errors="backslashreplace")
            faults.append(f"{shown.decode()}: cannot be read ({error})")
            continue
        drawn_here = np.array(boxes.get(name, []), dtype=np.float64).reshape(-1, 4)
        photos.append(BoxedPhoto(str(name), path, bytes_digest(data), drawn_here, sides_of[name]))
    if faults or not classes:
        lines = "".join(f"\n- {fault}" for fault in faults[:MOST_SHOWN])
        more = f"\n- … and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
        raise DetectionError(
            f"{folder} has {len(faults)} faults; mend or remove these files:{lines}{more}"
            if faults
            else f"{folder} has {len(photos)} photos and no box: draw some, or correct the labels. Not read: "
            f"{', '.join(not_read[:MOST_SHOWN]) or 'no file'}."
        )
    return BoxFiles(tuple(photos), dict(classes.most_common()), tuple(not_read))


def _hidden(name: Name) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.parts)


def _held_out(name: Name) -> bool | None:
    sides = [match[1].lower() for part in name.parts[:-1] if (match := SIDE.fullmatch(part))]
    return sides[0] != "train" if sides else None


def _photos_called(called: str, source: Name, by_stem: Mapping[str, list[Name]]) -> list[Name]:
    """The photos that a file of labels may mean by a path, whose folders may be those of another machine."""
    wanted = Name(called.replace("\\", "/"))
    parts = (*wanted.parts[:-1], wanted.stem if wanted.suffix.lower() in SUFFIXES else wanted.name)[::-1]
    ranked: dict[tuple[bool, int], list[Name]] = defaultdict(list)
    for photo in by_stem.get(parts[0], []):
        pairs = zip((photo.stem, *photo.parts[-2::-1]), parts, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a.lower() != b.lower()), len(parts))
        ranked[photo.is_relative_to(source.parent), same].append(photo)
    return ranked[max(ranked)] if ranked else []


def _labels(
    name: Name, path: Path, by_stem: Mapping[str, list[Name]], homes: Collection[Name]
) -> list[Labelled] | None:
    """What a file says of which photos; None where it is no file of labels."""
    suffix = name.suffix.lower()
    if suffix not in (".txt", ".json", ".xml"):
        return None
    text = path.read_text(encoding="utf-8-sig")
    if suffix == ".json":
        told = json.loads(text)
        return _coco(told) if isinstance(told, dict) and {"images", "annotations"} <= told.keys() else None
    if suffix == ".xml":
        root = ElementTree.fromstring(text)
        if root.find("track") is not None:
            raise ValueError("it is of a video: export frames from CVAT, as COCO or YOLO")
        kinds = {"annotation": lambda: _voc(name, root), "annotations": lambda: _cvat(root)}
        return kinds[root.tag]() if root.tag in kinds else None
    # Labels of images/train lie in labels/train, or beside the photos.
    parts = [part.lower() for part in name.parts[:-1]]
    last = max((n for n, part in enumerate(parts) if part == "labels"), default=None)
    home = name.parent if last is None else Name(*name.parts[:last], "images", *name.parts[last + 1 : -1])
    if name.name in NOT_LABELS or (last is None and home not in homes):
        return None
    places = [str(place).lower() for place in (home, name.parent)]
    if not any(str(photo.parent).lower() in places for photo in by_stem.get(name.stem, [])):
        raise ValueError(f"there is no photo of this name in {home}")
    lines = [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [
        (str(home / name.stem), (1, 1), [(f"line {n}", words[0], _yolo_sides(words)) for n, words in lines])
    ]


def _coco(told: Any) -> list[Labelled]:
    names = {one["id"]: str(one["name"]) for one in told.get("categories", [])}
    drawn: dict[object, list[Drawn]] = {one["id"]: [] for one in told["images"]}
    for number, one in enumerate(told["annotations"]):
        x, y, width, height = map(float, one["bbox"])
        if not one.get("iscrowd"):
            called = names.get(one.get("category_id"), "?")
            place = f"annotation {one.get('id', number)}"
            drawn[one["image_id"]].append((place, called, (x, y, x + width, y + height)))
    return [
        (str(one["file_name"]), (float(one["width"]), float(one["height"])), drawn[one["id"]])
        for one in told["images"]
    ]


def _voc(name: Name, root: ElementTree.Element) -> list[Labelled]:
    corners = ("xmin", "ymin", "xmax", "ymax")
    drawn: list[Drawn] = [
        (
            f"object {n}",
            one.findtext("name", "?").strip(),
            [float(one.findtext(f"bndbox/{side}", "nan")) for side in corners],
        )
        for n, one in enumerate(root.iter("object"), 1)
    ]
    size = float(root.findtext("size/width", "0")), float(root.findtext("size/height", "0"))
    return [(name.stem, size, drawn)]


def _cvat(root: ElementTree.Element) -> list[Labelled]:
    def sides(shape: ElementTree.Element) -> Sequence[float] | str:
        if shape.tag == "box":
            return [float(shape.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr")]
        if shape.tag == "polygon":
            return _around([float(number) for number in re.split("[,;]", shape.attrib["points"])])
        return f"is a {shape.tag}; draw a box or a polygon"

    return [
        (
            image.attrib["name"],
            (float(image.attrib["width"]), float(image.attrib["height"])),
            [
                (f"shape {n} of {image.attrib['name']}", one.get("label", "?"), sides(one))
                for n, one in enumerate(image, 1)
            ],
        )
        for image in root.iter("image")
    ]


def _around(numbers: Sequence[float]) -> Sequence[float]:
    """The box around points x y x y …"""
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _yolo_sides(words: Sequence[str]) -> Sequence[float] | str:
    """Sides of a line `class cx cy w h`, a confidence perhaps, or `class x y x y x y …`; or its fault."""
    if len(words) < 5 or (len(words) > 6 and len(words) % 2 == 0):
        return (
            f"{len(words)} numbers instead of 5 (class cx cy w h), or a class and pairs (class x y x y x y)"
        )
    if not re.fullmatch(r"\d{1,9}(\.0*)?", words[0]):
        return f"the class is {words[0]!r}, not a whole number of 0 or more"
    shares = []
    for word in words[1:]:
        try:
            shares.append(float(word))
        except ValueError:
            return f"{word!r} is not a number"
        if not -OVERHANG <= shares[-1] <= 1 + OVERHANG:
            return f"{word} is not a share of the photo from 0 to 1"
    if len(words) > 6:
        return _around(shares)
    x, y, width, height = shares[:4]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _sound_boxes(
    source: Name, size: tuple[float, float], drawn: Sequence[Drawn], classes: Counter[str], faults: list[str]
) -> list[tuple[float, ...]]:
    """The boxes that can be learnt from; their classes are counted, and what is wrong is a fault."""
    boxes: list[tuple[float, ...]] = []
    for place, called, sides in drawn:
        box = _sound(sides, size)
        if box in boxes:
            box = "the same box stands there twice"
        if isinstance(box, str):
            faults.append(f"{source}, {place}: {box}")
        else:
            boxes.append(box)
            classes[called] += 1
    return boxes


def _sound(sides: Sequence[float] | str, size: tuple[float, float]) -> tuple[float, ...] | str:
    """Sides in shares, cut to the frame where they reach beyond it by 1 % or less; or what is wrong."""
    if isinstance(sides, str):
        return sides
    if not min(size) > 0:
        return f"it tells a width and height of {size[0]:g}x{size[1]:g}"
    shares = [side / size[n % 2] for n, side in enumerate(sides)]
    if not all(map(math.isfinite, shares)):
        return "a side is not a number"
    if min(shares) < -OVERHANG or max(shares) > 1 + OVERHANG:
        return "the box reaches beyond the photo by more than 1 % of a side"
    box = tuple(min(1.0, max(0.0, share)) for share in shares)
    return box if box[0] < box[2] and box[1] < box[3] else "the box has no area"
