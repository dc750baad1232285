"""A sheet of photos with boxes drawn on them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from snake_assets.figures.captions import fitting
from snake_assets.figures.style import PALETTE

COLUMNS = 5
TILE, CAPTION, GAP = 132, 16, 4
FONT_SIZE = 10
PAPER, INK, BLANK = (255, 255, 255), (40, 40, 40), (225, 225, 225)
Kind = Literal["find", "truth", "wrong"]
# Told apart by colour-blind people, and by their lines: what a person drew is thinner.
LINES: dict[Kind, tuple[str, int]] = {
    "find": (PALETTE[1], 3),
    "truth": (PALETTE[4], 1),
    "wrong": (PALETTE[5], 3),
}


@dataclass(frozen=True)
class DrawnBox:
    """A box: its sides in shares of the photo's width and height, what stands beside it, and what it is.

    A "find" is what a finder found, the "truth" what a person drew, "wrong" a find that is none.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    text: str = ""
    kind: Kind = "find"


@dataclass(frozen=True, eq=False)
class BoxCell:
    """A photo, uint8 [H, W, 3], or None where it cannot be shown; its boxes; and the words below it."""

    photo: NDArray[np.uint8] | None
    boxes: Sequence[DrawnBox]
    caption: str


def box_sheet(cells: Sequence[BoxCell], nothing: str = "There is no photo to show.") -> bytes:
    """A WebP of photos in rows of five, whole and with their boxes.

    Args:
        cells: the photos, in reading order.
        nothing: what the sheet says where there is none.
    """
    rows = max(1, -(-len(cells) // COLUMNS))
    size = (COLUMNS * (TILE + GAP) + GAP, rows * (TILE + CAPTION + GAP) + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    if not cells:
        pen.text((GAP, GAP), nothing, fill=INK, font_size=FONT_SIZE)
    for number, cell in enumerate(cells):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * (TILE + GAP), GAP + row * (TILE + CAPTION + GAP)
        sheet.paste(_tile(cell), (left, top))
        caption = fitting(cell.caption, TILE, FONT_SIZE, pen)
        pen.text((left, top + TILE + 1), caption, fill=INK, font_size=FONT_SIZE)
    encoded = io.BytesIO()
    sheet.save(encoded, "WEBP", quality=45, method=6)
    return encoded.getvalue()


def _tile(cell: BoxCell) -> Image.Image:
    """The whole photo in the middle of a square, its boxes over it; a crossed square where there is none."""
    tile = Image.new("RGB", (TILE, TILE), BLANK)
    pen = ImageDraw.Draw(tile)
    if cell.photo is None:
        pen.line([(0, 0), (TILE, TILE)], fill=(160, 60, 60), width=3)
        return tile
    photo = Image.fromarray(cell.photo)
    # A thin strip keeps one pixel, so that its boxes have a place.
    scale = TILE / max(photo.size)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    left, top = (TILE - width) // 2, (TILE - height) // 2
    tile.paste(photo.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    for box in cell.boxes:
        colour, line = LINES[box.kind]
        x0, x1 = left + box.x0 * (width - 1), left + box.x1 * (width - 1)
        y0, y1 = top + box.y0 * (height - 1), top + box.y1 * (height - 1)
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=line)
        if box.text:
            _label(pen, box.text, (x0, y0), colour)
    return tile


def _label(pen: ImageDraw.ImageDraw, text: str, corner: tuple[float, float], colour: str) -> None:
    text = fitting(text, TILE - 4, FONT_SIZE, pen)
    width = pen.textlength(text, font_size=FONT_SIZE)
    left, top = min(corner[0], TILE - width - 4), max(0, corner[1] - FONT_SIZE - 3)
    pen.rectangle((left, top, left + width + 3, top + FONT_SIZE + 2), fill=colour)
    pen.text((left + 2, top), text, fill=(0, 0, 0), font_size=FONT_SIZE)
