"""Folders and photos whose names hold spaces, umlauts, emoji and what shells and URLs take for their own."""

import csv
import shutil
import unicodedata
from pathlib import Path

import pytest

from snake_assets.storage.tables.table import open_table
from snake_assets_tests.limits.small_sets import Photo, write_set
from snake_assets_tests.limits.whole_jobs import failures

pytestmark = pytest.mark.daemon

ODD = ("-schlänge 🐍 #1 100%25 'x'", "{a} $HOME;&", "[b]*?")
NFC, NFD = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")


@pytest.mark.parametrize("odd", ODD)
def test_the_whole_job_in_odd_folders(tmp_path, monkeypatch, demo_backbone, odd):
    names = [
        "ä b.jpg",
        f"{NFC}.jpg",
        f"{NFD}.jpg",
        "-c.jpg",
        "#d%20.jpg",
        "🐍/e f.jpg",
        "蛇.jpg",
        "x'y\".jpg",
    ]
    photos = [
        Photo(split, f"{split} {number} ü", number % 2, name, 10 * at + number)
        for at, split in enumerate(("train", "val", "test"))
        for number, name in enumerate(names)
    ]
    home = tmp_path / odd
    data = write_set(home / "data", photos, {0: False, 1: True})
    backbone = Path(shutil.copytree(demo_backbone, home / f"{odd} backbone"))
    assert not failures(monkeypatch, data, home / "store", backbone)
    for split in ("train", "val", "test"):
        images = open_table(home / "store" / "image_table" / split)
        assert not images.manifest.rejects
        assert sorted(images.read(["image_id"])["image_id"].to_pylist()) == sorted(names)
    with (home / "store" / "submission" / "submission.csv").open(encoding="utf-8") as file:
        answered = [row["observation_id"] for row in csv.DictReader(file)]
    assert answered == [f"test {number} ü" for number in range(len(names))]
