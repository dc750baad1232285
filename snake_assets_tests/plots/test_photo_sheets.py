"""Photo sheets and thumbnails: whole pictures of a size that the UI shows, whatever is in the tables."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.plots.charts import PALETTE
from snake_assets.plots.photo_sheets import (
    FIND_SIDE,
    GAP,
    LONGEST_SIDE,
    MOST_BYTES,
    abbreviated,
    contact_sheet,
    crop_sheet,
    sheet,
    thumbnail,
    thumbnails,
    tile_of,
)
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.preprocessing.regions import Region
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
    assert sheet.height // FIND_SIDE == rows
    # The mark is red, so tiles with one are those whose middle is; they come before those without.
    middles = [
        sheet.getpixel(
            (
                GAP + n % 5 * (FIND_SIDE + GAP) + FIND_SIDE // 2,
                GAP + n // 5 * (FIND_SIDE + 20) + FIND_SIDE // 2,
            )
        )
        for n in range(min(photos, 15))
    ]
    found = [red > 200 and green < 90 for red, green, _ in middles]
    assert found == sorted(found, reverse=True) and sum(found) == round(
        np.mean([b is not None for b in boxes]) * len(found) - 0.01
    )


def coloured(tile: Image.Image) -> tuple[int, int, int, int]:
    """Bounding box, x0 y0 x1 y1 in pixels, of all that is nearly of the colour of a box."""
    near = np.abs(np.asarray(tile).astype(int) - np.array(ImageColor.getrgb(PALETTE[1]))).max(axis=2) < 60
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return columns[0], rows[0], columns[-1], rows[-1]


def test_a_box_lies_where_its_shares_say() -> None:
    # 120 x 60 in a tile of 132: 132 x 66, with 33 rows of blank above. The score stands above the box.
    x0, _, x1, y1 = coloured(
        tile_of(Image.new("RGB", (120, 60)), 132, Region(0.25, 0.5, 0.75, 1.0, 0.5, "a"))
    )
    assert (x0, x1, y1) == pytest.approx((33, 99, 99), abs=3)


@pytest.mark.parametrize("size", [(1, 1), (50, 20_000), (20_000, 50)])
def test_photos_of_any_shape_are_shown(size: tuple[int, int]) -> None:
    assert coloured(tile_of(Image.new("RGB", size), 132, Region(0, 0, 1, 1, 0.5, "a")))[0] >= 0


def test_rows_are_of_five_and_what_has_no_photo_is_said() -> None:
    none, five, six = (
        Image.open(io.BytesIO(sheet([(tile_of(None, 80), str(n)) for n in range(count)], 80)))
        for count in (0, 5, 6)
    )
    assert none.size == five.size and six.height > five.height and six.width == five.width
    assert (np.asarray(none.convert("L")) < 128).any()


def test_a_contact_sheet_has_ten_photos_at_most_whatever_is_in_the_table(tmp_path: Path):
    def sheet_of(name: str, photos: list[bytes], species: str | None = "Aus bus") -> Image.Image:
        folder = tmp_path / name / "val"
        folder.mkdir(parents=True)
        for number, data in enumerate(photos):
            (folder / f"{number:02}.jpg").write_bytes(data)
        rows = [PhotoRow(f"{n:02}.jpg", "77", f"val/{n:02}.jpg", 1, species) for n in range(len(photos))]
        files = find_photos(tmp_path / name, "val")
        ingest(rows, files, "val", tmp_path / name / "images", most_rejected=1)
        return Image.open(io.BytesIO(contact_sheet(open_table(tmp_path / name / "images"))))

    noise, half = photo_bytes(1), photo_bytes(2)[:800] + b"\xff\xd9"
    one, nine, many = (sheet_of(str(count), [noise] * count) for count in (1, 9, 60))
    assert one.height < nine.height == many.height and many.width <= 820
    broken, whole = sheet_of("broken", [noise, half]), sheet_of("whole", [noise, noise])
    assert broken.size == whole.size and broken.tobytes() != whole.tobytes()
    assert sheet_of("unnamed", [noise], None).size == sheet_of("none", [b"no photo"]).size == one.size


@pytest.mark.parametrize(
    ("name", "short"),
    [("Naja naja", "N. naja"), ("Naja", "Naja"), ("1703", "1703"), ("", ""), ("Aus bus cus", "A. bus cus")],
)
def test_genera_are_abbreviated(name: str, short: str) -> None:
    assert abbreviated(name) == short


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
