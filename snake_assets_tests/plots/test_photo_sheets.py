"""Photo sheets and thumbnails: whole pictures of a size that the UI shows, whatever is in the tables."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.plots.charts import PALETTE
from snake_assets.plots.photo_sheets import (
    BOX_GAP,
    BOX_TILE,
    LONGEST_SIDE,
    MOST_BYTES,
    BoxCell,
    DrawnBox,
    box_sheet,
    crop_sheet,
    thumbnail,
    thumbnails,
)
from snake_assets.plots.photo_sheets import BOX_GAP as GAP
from snake_assets.plots.photo_sheets import BOX_TILE as TILE
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.detection.marks import MarkFinder, image_table, marked


@pytest.mark.parametrize(("photos", "rows"), [(1, 1), (4, 1), (15, 3), (40, 3)])
def test_finds_are_shown_from_the_surest_to_none(tmp_path: Path, photos: int, rows: int):
    boxes = [(0.25, 0.25, 0.75, 0.75) if n % 2 else None for n in range(photos)]
    images = image_table(
        tmp_path, {f"{n:02}.png": marked(80, 80, box, n, "PNG") for n, box in enumerate(boxes)}, shard_rows=7
    )
    find_snakes(images, tmp_path / "crops", MarkFinder(), FindingSettings())
    sheet = Image.open(io.BytesIO(crop_sheet(images, open_table(tmp_path / "crops")))).convert("RGB")
    assert sheet.height // TILE == rows
    # The mark is red, so tiles with one are those whose middle is; they come before those without.
    middles = [
        sheet.getpixel((GAP + n % 5 * (TILE + GAP) + TILE // 2, GAP + n // 5 * (TILE + 20) + TILE // 2))
        for n in range(min(photos, 15))
    ]
    found = [red > 200 and green < 90 for red, green, _ in middles]
    assert found == sorted(found, reverse=True) and sum(found) == round(
        np.mean([b is not None for b in boxes]) * len(found) - 0.01
    )


BLACK = np.zeros((60, 120, 3), np.uint8)


def drawn(*cells: BoxCell) -> NDArray[np.int_]:
    return np.asarray(Image.open(io.BytesIO(box_sheet(cells))).convert("RGB")).astype(int)


def coloured(sheet: NDArray[np.int_]) -> tuple[int, int, int, int]:
    """Bounding box, x0 y0 x1 y1 in pixels, of all that is nearly of the colour of a box."""
    near = np.abs(sheet - np.array(ImageColor.getrgb(PALETTE[1]))).max(axis=2) < 60
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return columns[0], rows[0], columns[-1], rows[-1]


def test_a_box_lies_where_its_shares_say() -> None:
    sheet = drawn(BoxCell(BLACK, [DrawnBox(0.25, 0.5, 0.75, 1.0)], "one"))
    # 120 x 60 in a tile of 132: 132 x 66, with 33 rows of blank above.
    expected = (BOX_GAP + BOX_TILE / 4, BOX_GAP + 33 + 33, BOX_GAP + 3 * BOX_TILE / 4, BOX_GAP + 33 + 66)
    assert coloured(sheet) == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("shape", [(1, 1), (50, 20_000), (20_000, 50)])
def test_photos_of_any_shape_are_shown(shape: tuple[int, int]) -> None:
    sheet = drawn(BoxCell(np.zeros((*shape, 3), np.uint8), [DrawnBox(0, 0, 1, 1, "0.50")], "thin"))
    assert coloured(sheet)[0] >= BOX_GAP


def test_rows_are_of_five_and_an_unreadable_photo_has_its_place() -> None:
    five = drawn(*[BoxCell(BLACK, [], str(n)) for n in range(5)])
    six = drawn(*[BoxCell(None, [], str(n)) for n in range(6)])
    assert six.shape[0] > five.shape[0] and six.shape[1] == five.shape[1]


def test_no_photo_is_said() -> None:
    assert (drawn() < 128).any()


@pytest.mark.parametrize(
    ("size", "shown"), [((640, 480), (176, 132)), ((480, 640), (132, 176)), ((90, 60), (90, 60))]
)
def test_the_whole_photo_is_shown_in_its_own_shape(size: tuple[int, int], shown: tuple[int, int]) -> None:
    small = Image.open(io.BytesIO(thumbnail(photo_bytes(size=size))))
    assert (small.size, small.format) == (shown, "JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_even_noise_stays_small(kind: str) -> None:
    data = photo_bytes(size=(500, 500), kind=kind)
    assert len(thumbnail(data)) <= MOST_BYTES
    assert max(Image.open(io.BytesIO(thumbnail(data))).size) == LONGEST_SIDE


@pytest.mark.parametrize("data", [b"", b"no photo", photo_bytes()[:300]])
def test_what_has_no_pixels_has_no_thumbnail(data: bytes) -> None:
    assert thumbnail(data) is None


def test_photos_are_found_in_any_shard_and_the_rest_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "val"
    folder.mkdir(parents=True)
    names = [f"{number}.jpg" for number in range(7)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(photo_bytes(number))
    whole = photo_bytes(6)
    (folder / "6.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    rows = [PhotoRow(name, "77", f"val/{name}", 1, "Aus bus") for name in names]
    ingest(rows, find_photos(tmp_path / "data", "val"), "val", tmp_path / "images", shard_rows=2)
    found = thumbnails(open_table(tmp_path / "images"), ["5.jpg", "0.jpg", "6.jpg", "absent.jpg"])
    assert found == {"0.jpg": thumbnail(photo_bytes(0)), "5.jpg": thumbnail(photo_bytes(5))}
