"""Clocks that jump: times only tell one file from another, never which of two is newer."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from snake_assets.learning.evaluation.history import Scored
from snake_assets.plots.charts import history_chart_png
from snake_assets.snakeclef.image_table import ingest, ingest_is_current
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.inventory import inventory_is_current, take_inventory
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes

pytestmark = pytest.mark.fault("a clock that jumps")

LONG_AGO, FAR_AHEAD = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1e9) for year in (1971, 2199))
ROWS = [PhotoRow(f"{n}.jpg", str(n), f"test/{n}.jpg") for n in range(4)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "test"
    folder.mkdir(parents=True)
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(photo_bytes(number))
    return tmp_path / "data"


def run(data: Path, store: Path) -> list[bytes]:
    """The photos of the table, by a run that takes stock first."""
    take_inventory(data, "test", store / "raw")
    ingest(ROWS, find_photos(data, "test"), "test", store / "images", shard_rows=2)
    return open_table(store / "images").read(["image"])["image"].to_pylist()


@pytest.mark.parametrize("time", [LONG_AGO, FAR_AHEAD])
def test_a_photo_is_another_whether_the_clock_went_back_or_ahead(data: Path, tmp_path: Path, time: int):
    before = run(data, tmp_path / "store")
    shards = open_table(tmp_path / "store" / "images").manifest.shards
    photo = data / "test" / "3.jpg"
    changed = bytearray(photo.read_bytes())
    changed[-20] ^= 1  # of the same size
    photo.write_bytes(changed)
    os.utime(photo, ns=(time, time))
    assert run(data, tmp_path / "store") == [*before[:3], bytes(changed)]
    assert open_table(tmp_path / "store" / "images").manifest.shards[0] == shards[0]


@pytest.mark.parametrize("time", [LONG_AGO, FAR_AHEAD])
def test_the_times_of_what_is_in_the_store_do_not_matter(data: Path, tmp_path: Path, time: int):
    store = tmp_path / "store"
    photos = find_photos(data, "test")
    ingest(ROWS, photos, "test", store / "images")
    take_inventory(data, "test", store / "raw")
    for path in store.rglob("*"):
        os.utime(path, ns=(time, time))
    assert ingest_is_current(ROWS, photos, store / "images")
    assert inventory_is_current(data, photos, [], store / "raw")
    assert ingest(ROWS, photos, "test", store / "images").rows_out == 4
    assert next((store / "images").glob("part-*")).stat().st_mtime_ns == time


def test_a_report_dated_before_the_one_before_it_is_drawn():
    dates = ("2026-03-01T00:00:00+00:00", "2024-01-01T00:00:00+00:00")
    history = [
        Scored(date=date, classifier="c", observations=4, track1=90, track2=1, f1=80, accuracy=90)
        for date in dates
    ]
    assert history_chart_png(history).startswith(b"\x89PNG")
