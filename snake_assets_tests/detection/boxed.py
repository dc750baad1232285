"""Small folders of photos with boxes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snake_assets.detection.box_files import BoxedPhoto
from snake_assets_tests.detection.marks import Box, marked
from snake_assets_tests.vision.conftest import encode, picture

MARK: Box = (0.25, 0.25, 0.75, 0.75)


def label_line(box: Box, number: int = 0) -> str:
    x0, y0, x1, y1 = box
    return f"{number} {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}\n"


def write_boxes(folder: Path, photos: Mapping[str, tuple[bytes, str | None]]) -> Path:
    """A folder as SNAKE_BOXES names it: name -> the photo's bytes, and its label file's text or None."""
    for name, (data, text) in photos.items():
        image = folder / "images" / name
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(data)
        label = (folder / "labels" / name).with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            label.write_text(text)
    return folder


def marked_photos(count: int, size: tuple[int, int] = (64, 48)) -> dict[str, tuple[bytes, str | None]]:
    """Photos with a red mark each, somewhere, and its box."""
    drawn: dict[str, tuple[bytes, str | None]] = {}
    for number in range(count):
        x, y = np.random.default_rng(number).integers(0, 5, 2) / 8
        box = (x, y, x + 0.5, y + 0.5)
        drawn[f"{number:02}.png"] = (marked(*size, box, number, "PNG"), label_line(box))
    return drawn


def photo_file(
    folder: Path, name: str, seed: int, boxes: Sequence[Box] = (MARK,), side=None, **look
) -> BoxedPhoto:
    """A photo of its own looks, `mirror`ed, of another `size` or JPEG `quality`."""
    drawn = picture(*look.get("size", (64, 48)), seed)
    if look.get("mirror"):
        drawn = drawn.transpose(0)
    path = folder / name
    path.write_bytes(encode(drawn, quality=look.get("quality", 90)))
    from snake_assets.storage.fingerprints import file_digest

    return BoxedPhoto(name, path, file_digest(path), np.array(boxes, dtype=float).reshape(-1, 4), side)
