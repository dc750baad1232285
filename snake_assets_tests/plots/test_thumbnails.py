"""Thumbnails: whole photos, never more than 8 KiB, and none where there is no picture."""

import io
from pathlib import Path

import pytest
from PIL import Image

from snake_assets.plots.photo_sheets import LONGEST_SIDE, MOST_BYTES, thumbnail, thumbnails
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes


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
