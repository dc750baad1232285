"""Splits of no, one and two photos: the whole job ends right, or says in a sentence why it cannot."""

import csv
from pathlib import Path

import pytest

from snake_assets_tests.limits.small_sets import photos_of, write_set
from snake_assets_tests.limits.whole_jobs import failures

pytestmark = pytest.mark.daemon

BOTH = [1, 2]
ENOUGH = BOTH * 4
STATUS = {1: True, 2: False}
EMPTY = "no photo (.jpg, .jpeg, .png in any case)"


def answers(store: Path) -> list[list[str]]:
    with (store / "submission" / "submission.csv").open() as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [(ENOUGH, [1], BOTH), (ENOUGH, BOTH, [1]), (ENOUGH, BOTH, BOTH)],
    ids=["one of val", "one of test", "two of each"],
)
def test_a_photo_or_two_do_for_val_and_test(tmp_path, monkeypatch, demo_backbone, train, val, test):
    photos = photos_of("train", train) + photos_of("val", val) + photos_of("test", test)
    data = write_set(tmp_path / "data", photos, STATUS)
    assert not failures(monkeypatch, data, tmp_path / "store", demo_backbone)
    assert [row[0] for row in answers(tmp_path / "store")] == [
        f"test-{number}" for number in range(len(test))
    ]


@pytest.mark.parametrize("split", ["val", "test"])
def test_splits_of_which_no_photo_can_be_read_are_answered(tmp_path, monkeypatch, demo_backbone, split):
    photos = photos_of("train", ENOUGH) + photos_of("val", BOTH) + photos_of("test", BOTH)
    data = write_set(tmp_path / "data", photos, STATUS)
    for path in (data / split).rglob("*.jpg"):
        path.write_bytes(b"")
    assert not failures(monkeypatch, data, tmp_path / "store", demo_backbone)
    assert len(answers(tmp_path / "store")) == 2


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_a_photo_is_refused(tmp_path, monkeypatch, demo_backbone, split):
    photos = photos_of("train", ENOUGH) + photos_of("val", BOTH) + photos_of("test", BOTH)
    data = write_set(tmp_path / "data", [photo for photo in photos if photo.split != split], STATUS)
    (told,) = failures(monkeypatch, data, tmp_path / "store", demo_backbone).values()
    assert f"The split {split!r} is empty" in told and EMPTY in told


@pytest.mark.parametrize(
    ("train", "in_an_observation", "why"),
    [
        ([1], 1, "All photos are of class_id 1: training needs two species or more."),
        ([1, 1], 2, "All photos are of class_id 1: training needs two species or more."),
        ([1, 2], 1, "Every species has a single observation"),
    ],
    ids=["one", "two of one observation", "two of two species"],
)
def test_what_nothing_can_be_learned_from_is_refused_by_the_classifier(
    tmp_path, monkeypatch, demo_backbone, train, in_an_observation, why
):
    photos = photos_of("train", train, in_an_observation) + photos_of("val", [1]) + photos_of("test", [1])
    data = write_set(tmp_path / "data", photos, STATUS)
    told = failures(monkeypatch, data, tmp_path / "store", demo_backbone)
    assert list(told) == ["species_classifier"]
    assert why in told["species_classifier"]


def test_a_train_split_of_which_no_photo_can_be_read_is_refused(tmp_path, monkeypatch, demo_backbone):
    data = write_set(
        tmp_path / "data",
        photos_of("train", ENOUGH) + photos_of("val", [1]) + photos_of("test", [1]),
        STATUS,
    )
    for path in (data / "train").rglob("*.jpg"):
        path.write_bytes(b"")
    told = failures(monkeypatch, data, tmp_path / "store", demo_backbone)
    assert told.keys() == {"species_classifier", "embedding_map"}
    assert "holds no photo" in told["species_classifier"]
    assert "no photo" in told["embedding_map"]
