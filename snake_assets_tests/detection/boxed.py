"""Small folders of photos with boxes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snake_assets_tests.detection.marks import Box, marked

MARK: Box = (0.25, 0.25, 0.75, 0.75)


def label_line(box: Box, number: int = 0) -> str:
    x0, y0, x1, y1 = box
    return f"{number} {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}\n"


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def marked_photos(count: int, size: tuple[int, int] = (64, 48)) -> dict[str, bytes | str]:
    """Photos with a red mark each, somewhere, and its box, as YOLO text."""
    drawn: dict[str, bytes | str] = {}
    for number in range(count):
        x, y = np.random.default_rng(number).integers(0, 5, 2) / 8
        box = (x, y, x + 0.5, y + 0.5)
        drawn[f"images/{number:02}.png"] = marked(*size, box, number, "PNG")
        drawn[f"labels/{number:02}.txt"] = label_line(box)
    return drawn
