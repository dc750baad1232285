"""The sheet of a split's finds."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.plots.photo_sheets import BOX_GAP as GAP
from snake_assets.plots.photo_sheets import BOX_TILE as TILE
from snake_assets.plots.photo_sheets import crop_sheet
from snake_assets.storage.tables.table import open_table
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
