"""Leakage: a photo that stands in both splits is found, whether copied or only alike."""

import dataclasses

import numpy as np
import pytest

from snake_assets.learning.evaluation.leakage import find_leakage
from snake_assets.learning.feature_table import FeatureTable


def photos(split: str, count: int, seed: int) -> FeatureTable:
    """Photos that resemble no other."""
    return FeatureTable(
        image_id=[f"{split}/{row}.jpg" for row in range(count)],
        observation_id=[f"{split} {row // 2}" for row in range(count)],
        blocks={"cls": np.random.default_rng(seed).normal(size=(count, 24)).astype(np.float32)},
        class_id=np.arange(count, dtype=np.int32) % 3,
        sha256=[f"{split}-{row}" for row in range(count)],
    )


@pytest.fixture
def splits() -> tuple[FeatureTable, FeatureTable]:
    return photos("train", 40, 1), photos("val", 12, 2)


def plant(train: FeatureTable, val: FeatureTable, train_row: int, val_row: int, noise: float = 0.0) -> None:
    """Make a photo of val look like one of train, with a little noise."""
    vector = train.blocks["cls"][train_row]
    val.blocks["cls"][val_row] = vector + noise * np.random.default_rng(5).normal(size=vector.size)


def cosine_of(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_splits_apart_have_no_leak(splits: tuple[FeatureTable, FeatureTable]) -> None:
    found = find_leakage(*splits)
    assert list(found.leaks) == [] and found.observations == [] and found.exact == 0
    assert not found.unfinished


def test_planted_photos_are_found_exact_ones_first(splits: tuple[FeatureTable, FeatureTable]) -> None:
    train, val = splits
    plant(train, val, 30, 2, noise=0.05)
    plant(train, val, 31, 3)
    # Less alike, with a cosine of 0.8 to 0.99: left alone.
    plant(train, val, 32, 6, noise=0.4)
    val.sha256[9] = train.sha256[17]
    found = find_leakage(train, val)
    assert [(leak.image_id, leak.train_image_id, leak.exact) for leak in found.leaks] == [
        ("val/9.jpg", "train/17.jpg", True),
        ("val/3.jpg", "train/31.jpg", False),
        ("val/2.jpg", "train/30.jpg", False),
    ]
    assert found.exact == 1
    assert found.observations == ["val 4", "val 1"]
    last = found.leaks[-1]
    assert (last.class_id, last.train_class_id) == (2, 0)
    centre = train.blocks["cls"].mean(axis=0)
    expected = cosine_of(val.blocks["cls"][2] - centre, train.blocks["cls"][30] - centre)
    assert 0.99 < last.cosine < 1
    assert last.cosine == pytest.approx(expected, abs=1e-5)


def test_a_photo_with_several_partners_is_listed_once(splits: tuple[FeatureTable, FeatureTable]) -> None:
    train, val = splits
    plant(train, val, 8, 5)
    train.blocks["cls"][9] = train.blocks["cls"][8]
    assert [leak.train_image_id for leak in find_leakage(train, val).leaks] == ["train/8.jpg"]
    # The same file wins, even where its vector is another.
    val.sha256[5] = train.sha256[20] = train.sha256[33] = "the same"
    (leak,) = find_leakage(train, val).leaks
    assert (leak.train_image_id, leak.exact) in {("train/20.jpg", True), ("train/33.jpg", True)}


def test_a_backbone_that_tells_nothing_apart_is_admitted(splits: tuple[FeatureTable, FeatureTable]) -> None:
    alike = [
        dataclasses.replace(table, blocks={"cls": np.ones((len(table), 4), dtype=np.float32)})
        for table in splits
    ]
    alike[1].sha256[4] = alike[0].sha256[39]
    found = find_leakage(*alike, most_pairs=10)
    assert found.unfinished
    assert found.exact == 1 and found.leaks[0].image_id == "val/4.jpg"


def test_what_all_photos_share_makes_no_leak(splits: tuple[FeatureTable, FeatureTable]) -> None:
    for table in splits:
        table.blocks["cls"] += 100
    train, val = splits
    assert cosine_of(val.blocks["cls"][0], train.blocks["cls"][0]) > 0.999
    assert not find_leakage(train, val).leaks
