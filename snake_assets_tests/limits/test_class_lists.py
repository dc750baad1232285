"""A venom list of one species, and one of ten thousand."""

import csv
import json

import pytest

from snake_assets_tests.limits.small_sets import photos_of, write_set
from snake_assets_tests.limits.whole_jobs import failures

pytestmark = pytest.mark.daemon


def test_one_species_is_refused_by_the_classifier(tmp_path, monkeypatch, demo_backbone):
    photos = photos_of("train", [7] * 6) + photos_of("val", [7] * 2) + photos_of("test", [7])
    data = write_set(tmp_path / "data", photos, {7: True})
    told = failures(monkeypatch, data, tmp_path / "store", demo_backbone)
    assert list(told) == ["species_classifier"]
    assert "training needs two species or more" in told["species_classifier"]


def test_a_list_of_ten_thousand_species_with_photos_of_three(tmp_path, monkeypatch, demo_backbone):
    classes = [3, 5_000, 9_999]
    photos = photos_of("train", classes * 4) + photos_of("val", classes) + photos_of("test", classes)
    data = write_set(tmp_path / "data", photos, {one: one % 4 == 3 for one in range(10_000)})
    assert not failures(monkeypatch, data, tmp_path / "store", demo_backbone)
    store = tmp_path / "store"
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    assert scores["observations"] == 3
    with (store / "submission" / "submission.csv").open() as file:
        answers = [int(row["class_id"]) for row in csv.DictReader(file)]
    assert len(answers) == 3 and set(answers) <= set(classes)
    assert (store / "species_classifier" / "classifier.json").stat().st_size < 1 << 20
