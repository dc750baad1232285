"""Sheets of boxes: boxes lie where they should, on photos of any shape."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor

from snake_assets.plots.photo_sheets import BOX_GAP, BOX_TILE, LINES, BoxCell, DrawnBox, Kind, box_sheet

BLACK = np.zeros((60, 120, 3), np.uint8)


def drawn(*cells: BoxCell) -> NDArray[np.int_]:
    return np.asarray(Image.open(io.BytesIO(box_sheet(cells))).convert("RGB")).astype(int)


def coloured(sheet: NDArray[np.int_], kind: Kind) -> tuple[int, int, int, int]:
    """Bounding box, x0 y0 x1 y1 in pixels, of all that is nearly of a kind's colour."""
    near = np.abs(sheet - np.array(ImageColor.getrgb(LINES[kind][0]))).max(axis=2) < 60
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return columns[0], rows[0], columns[-1], rows[-1]


@pytest.mark.parametrize("kind", ["find", "wrong"])
def test_a_box_lies_where_its_shares_say(kind: Kind) -> None:
    sheet = drawn(BoxCell(BLACK, [DrawnBox(0.25, 0.5, 0.75, 1.0, kind=kind)], "one"))
    # 120 x 60 in a tile of 132: 132 x 66, with 33 rows of blank above.
    expected = (BOX_GAP + BOX_TILE / 4, BOX_GAP + 33 + 33, BOX_GAP + 3 * BOX_TILE / 4, BOX_GAP + 33 + 66)
    assert coloured(sheet, kind) == pytest.approx(expected, abs=3)


def test_what_a_person_drew_and_what_was_found_are_both_seen() -> None:
    boxes = [DrawnBox(0, 0, 0.4, 1, kind="truth"), DrawnBox(0.6, 0, 1, 1)]
    sheet = drawn(BoxCell(BLACK, boxes, ""))
    assert coloured(sheet, "truth")[2] < coloured(sheet, "find")[0]


@pytest.mark.parametrize("shape", [(1, 1), (50, 20_000), (20_000, 50)])
def test_photos_of_any_shape_are_shown(shape: tuple[int, int]) -> None:
    sheet = drawn(BoxCell(np.zeros((*shape, 3), np.uint8), [DrawnBox(0, 0, 1, 1, "0.50")], "thin"))
    assert coloured(sheet, "find")[0] >= BOX_GAP


def test_rows_are_of_five_and_an_unreadable_photo_has_its_place() -> None:
    five = drawn(*[BoxCell(BLACK, [], str(n)) for n in range(5)])
    six = drawn(*[BoxCell(None, [], str(n)) for n in range(6)])
    assert six.shape[0] > five.shape[0] and six.shape[1] == five.shape[1]


def test_no_photo_is_said() -> None:
    assert (drawn() < 128).any()
