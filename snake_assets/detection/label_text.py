"""Boxes as text: a line `class cx cy w h` each, in shares of the photo's sides, as YOLO tools write them."""

import math
import re
from dataclasses import dataclass

NUMBERS = ("class", "centre x", "centre y", "width", "height")
# Tools round each number to 4 to 6 digits; a box that reaches further beyond the frame is a mistake.
OVERHANG = 0.01


@dataclass(frozen=True)
class LabelledBox:
    """A box within the frame: its class, and its sides in shares of the photo's width and height."""

    number: int
    x0: float
    y0: float
    x1: float
    y1: float


def parse_labels(text: str) -> tuple[list[LabelledBox], list[str]]:
    """The boxes of a label file, and what is wrong in it, by line ("line 3: ...").

    Blank lines are passed over. A box that reaches beyond the frame by 1 % of a side or less is cut to it.
    """
    boxes: list[LabelledBox] = []
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        read = _parse_line(line.split())
        if isinstance(read, str):
            wrong.append(f"line {number}: {read}")
        elif read in boxes:
            wrong.append(f"line {number}: the same box stands there twice")
        else:
            boxes.append(read)
    return boxes, wrong


def label_text(boxes: list[LabelledBox]) -> str:
    """The boxes as the text of a label file."""
    return "".join(
        f"{box.number} {(box.x0 + box.x1) / 2:.9f} {(box.y0 + box.y1) / 2:.9f} "
        f"{box.x1 - box.x0:.9f} {box.y1 - box.y0:.9f}\n"
        for box in boxes
    )


def _parse_line(words: list[str]) -> LabelledBox | str:
    """The box, or what is wrong with it."""
    if len(words) != len(NUMBERS):
        return f"{len(words)} numbers instead of 5 (class cx cy w h)"
    if not re.fullmatch(r"[0-9]{1,9}", words[0]):
        return f"the class is {words[0]!r}, not a whole number of 0 or more"
    shares = []
    for name, word in zip(NUMBERS[1:], words[1:], strict=True):
        try:
            share = float(word)
        except ValueError:
            return f"the {name} is {word!r}, not a number"
        if not (math.isfinite(share) and 0 <= share <= 1):
            return f"the {name} is {word}, not a share of the photo from 0 to 1"
        shares.append(share)
    x, y, width, height = shares
    sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if min(sides) < -OVERHANG or max(sides) > 1 + OVERHANG:
        return "the box reaches beyond the photo by more than 1 % of a side"
    x0, y0, x1, y1 = (min(1.0, max(0.0, side)) for side in sides)
    if x0 >= x1 or y0 >= y1:
        return "the box has no area"
    return LabelledBox(int(words[0]), x0, y0, x1, y1)
