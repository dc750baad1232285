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
    MOST_BYTES,
    contact_sheet,
    crop_sheet,
    sheet,
    thumbnail,
    thumbnails,
    tile_of,
)
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import LicensedPhotoRow, PhotoRow
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
    places = [divmod(n, 5) for n in range(min(photos, 15))]
    middle, down, right = FIND_SIDE // 2 + GAP, FIND_SIDE + 20, FIND_SIDE + GAP
    middles = [sheet.getpixel((middle + right * column, middle + down * row)) for row, column in places]
    found = [red > 200 and green < 90 for red, green, _ in middles]
    assert found == sorted(found, reverse=True)
    assert sum(found) == round(np.mean([box is not None for box in boxes]) * len(found) - 0.01)


def coloured(tile: Image.Image) -> tuple[int, int, int, int]:
    """Bounding box, x0 y0 x1 y1 in pixels, of all that is nearly of the colour of a box."""
    near = np.abs(np.asarray(tile).astype(int) - np.array(ImageColor.getrgb(PALETTE[1]))).max(axis=2) < 60
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return columns[0], rows[0], columns[-1], rows[-1]


def test_a_box_lies_where_its_shares_say_whatever_the_photos_shape() -> None:
    # 120 x 60 in a tile of 132: 132 x 66, with 33 rows of blank above. The score stands above the box.
    tile = tile_of(Image.new("RGB", (120, 60)), 132, Region(0.25, 0.5, 0.75, 1.0, 0.5, "a"))
    x0, _, x1, y1 = coloured(tile)
    assert (x0, x1, y1) == pytest.approx((33, 99, 99), abs=3)
    for size in ((1, 1), (50, 20_000), (20_000, 50)):
        assert coloured(tile_of(Image.new("RGB", size), 132, Region(0, 0, 1, 1, 0.5, "a")))[0] >= 0


def test_rows_are_of_five_and_what_has_no_photo_is_said() -> None:
    none, five, six = (
        Image.open(io.BytesIO(sheet([(tile_of(None, 80), str(n)) for n in range(count)], 80)))
        for count in (0, 5, 6)
    )
    assert none.size == five.size and six.height > five.height and six.width == five.width
    assert (np.asarray(none.convert("L")) < 128).any()


def test_a_contact_sheet_has_ten_photos_at_most_and_a_box_for_what_is_broken(tmp_path: Path):
    def sheet_of(name: str, photos: list[bytes]) -> Image.Image:
        named = {f"{number:02}.jpg": data for number, data in enumerate(photos)}
        return Image.open(io.BytesIO(contact_sheet(image_table(tmp_path / name, named, most_rejected=1))))

    noise, half = photo_bytes(1), photo_bytes(2)[:800] + b"\xff\xd9"
    one, nine, many = (sheet_of(str(count), [noise] * count) for count in (1, 9, 60))
    assert one.height < nine.height == many.height and many.width <= 820
    broken, whole = sheet_of("broken", [noise, half]), sheet_of("whole", [noise, noise])
    assert broken.size == whole.size and broken.tobytes() != whole.tobytes()
    assert sheet_of("none", [b"no photo"]).size == one.size


@pytest.mark.parametrize(
    ("size", "shown"), [((640, 480), (176, 132)), ((480, 640), (132, 176)), ((90, 60), (90, 60))]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_whole_photo_is_shown_small_in_its_own_shape(
    size: tuple[int, int], shown: tuple[int, int], kind: str
) -> None:
    data = thumbnail(photo_bytes(size=size, kind=kind))
    assert len(data) <= MOST_BYTES
    small = Image.open(io.BytesIO(data))
    assert (small.size, small.format) == (shown, "JPEG")


def test_photos_are_found_in_any_shard_and_the_rest_left_alone(tmp_path: Path) -> None:
    whole = photo_bytes(6)
    photos = {f"{number}.jpg": photo_bytes(number) for number in range(6)}
    images = image_table(tmp_path, photos | {"6.jpg": whole[: len(whole) // 2] + b"\xff\xd9"}, shard_rows=2)
    found = thumbnails(images, ["5.jpg", "0.jpg", "6.jpg", "absent.jpg"])
    assert found == {"0.jpg": thumbnail(photo_bytes(0)), "5.jpg": thumbnail(photo_bytes(5))}
    assert thumbnail(b"") is thumbnail(b"no photo") is None


def test_licence_and_rights_holder_stand_below_photos_of_which_they_are_known(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.jpg").write_bytes(photo_bytes())
    plain = PhotoRow("a.jpg", "1", "test/a.jpg")
    licence = "http://creativecommons.org/licenses/by-nc/4.0/"
    shown = []
    for rights in ((), (licence, "A. Person"), (None, "A. Person")):
        row = LicensedPhotoRow(**vars(plain), licence=rights[0], rights_holder=rights[1]) if rights else plain
        ingest([row], find_photos(tmp_path, "test"), "test", tmp_path / "images")
        encoded = contact_sheet(open_table(tmp_path / "images"))
        shown.append(np.asarray(Image.open(io.BytesIO(encoded)).convert("L")).astype(int))
    bare, licensed, unknown = shown
    assert licensed.shape == unknown.shape and licensed.shape[0] > bare.shape[0]
    assert np.abs(licensed - unknown).max() > 60
    # Below the photo and its name, two more lines of dark ink.
    lines = licensed[bare.shape[0] - GAP :].min(axis=1) < 128
    assert lines.sum() > 8
