"""What was found, counted."""

from pathlib import Path

import pytest

from snake_assets.detection.detect import FindingSettings, count_finds, find_snakes
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.marks import Finds, MarkFinder, image_table, marked


def test_photos_without_a_find_are_counted(tmp_path: Path):
    boxes = {
        "a.png": (0, 0, 0.5, 0.5),
        "b.png": None,
        "c.png": (0.5, 0.5, 1, 1),
        "d.png": None,
        "e.png": None,
    }
    images = image_table(
        tmp_path, {name: marked(80, 40, box, n, "PNG") for n, (name, box) in enumerate(boxes.items())}
    )
    find_snakes(images, tmp_path / "crops", MarkFinder(), FindingSettings())
    counts = count_finds(open_table(tmp_path / "crops"))
    assert (counts.photos, counts.without, counts.with_more, counts.labels) == (5, 3, 0, {"mark": 2})
    assert counts.share_without == 0.6
    assert (counts.median_score, counts.median_area) == (0.75, pytest.approx(0.25))


def test_more_than_one_find_is_counted_once(tmp_path: Path):
    images = image_table(tmp_path, {"a.png": marked(80, 40, None, kind="PNG")})
    two = Finds((Region(0, 0, 1, 0.5, 0.9, "snake"), Region(0, 0, 0.1, 0.1, 0.4, "eel")))
    find_snakes(images, tmp_path / "crops", two, FindingSettings())
    counts = count_finds(open_table(tmp_path / "crops"))
    assert (counts.with_more, counts.labels, counts.median_area) == (1, {"snake": 1}, pytest.approx(0.5))


def test_where_nothing_was_found_there_is_no_middle(tmp_path: Path):
    images = image_table(tmp_path, {"a.png": marked(80, 40, None, kind="PNG")})
    find_snakes(images, tmp_path / "crops", MarkFinder(), FindingSettings())
    counts = count_finds(open_table(tmp_path / "crops"))
    assert (counts.share_without, counts.median_score, counts.median_area, counts.labels) == (
        1,
        None,
        None,
        {},
    )
