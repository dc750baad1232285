"""Mistakes: ordered by what they cost, and beside the training photos that resemble them."""

import dataclasses

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.mistakes import Mistake, all_mistakes, with_nearest
from snake_assets.learning.feature_table import FeatureTable
from snake_assets_tests.learning.evaluation.judged import (
    NAMES,
    TRAIN,
    VAL,
    ToldClassifier,
    neighbours_in,
    train_table,
    truth_of,
)
from snake_assets_tests.learning.tables import VENOMOUS

ORDER = list(truth_of(VAL))
TRUTH = np.array(list(truth_of(VAL).values()))


def mistakes(wrong: dict[str, int], probability: dict[str, float] | None = None) -> list[Mistake]:
    told = ToldClassifier(
        {**truth_of(VAL), **wrong}, probability or {}, np.array(list(NAMES)), VENOMOUS, neighbours_in(TRAIN)
    )
    return all_mistakes(told.identify(VAL, ORDER), TRUTH, VENOMOUS, VAL)


def test_the_most_costly_come_first_then_the_surest() -> None:
    # Species by three observations: 3 (harmless), 7 (venomous), 12 (harmless), 30 (venomous).
    found = mistakes(
        {"val 0": 12, "val 1": 7, "val 3": 12, "val 4": 3, "val 5": 30, "val 9": 7},
        {"val 3": 0.4, "val 4": 0.7, "val 1": 0.5, "val 5": 0.6, "val 9": 0.55},
    )
    assert [(one.observation_id, one.cost) for one in found] == [
        ("val 4", 5),
        ("val 3", 5),
        ("val 5", 2),
        ("val 9", 2),
        ("val 1", 2),
        ("val 0", 1),
    ]
    assert (found[0].truth, found[0].predicted) == (7, 3)
    assert found[0].probability == pytest.approx(0.7)
    assert found[0].p_venomous == pytest.approx(0.3)
    assert found[0].photos == ("val/8.jpg", "val/9.jpg")


def nearest(found: list[Mistake], train: FeatureTable = TRAIN) -> list[Mistake]:
    return with_nearest(found, VAL, train, neighbours_in(train))


def test_no_mistake() -> None:
    assert mistakes({}) == []
    assert nearest([]) == []


def test_the_training_photos_nearest_to_any_of_its_photos_as_the_classifier_has_it() -> None:
    (found,) = nearest(mistakes({"val 4": 3}))
    near = neighbours_in(TRAIN)
    cosines = near.whitened(VAL.blocks["cls"][8:10]) @ near.vectors.astype(np.float32).T
    best = cosines.max(axis=0)
    expected = np.argsort(-best)[:5]
    assert [one.image_id for one in found.nearest] == [TRAIN.image_id[row] for row in expected]
    assert [one.cosine for one in found.nearest] == pytest.approx(best[expected], abs=1e-5)
    assert [one.class_id for one in found.nearest] == TRAIN.class_id[expected].tolist()


def test_copies_of_a_training_photo_stand_once() -> None:
    twins = dataclasses.replace(train_table(), sha256=[f"file {row // 2}" for row in range(len(TRAIN))])
    for row in range(0, len(twins), 2):
        twins.blocks["cls"][row + 1] = twins.blocks["cls"][row]
    (found,) = nearest(mistakes({"val 4": 3}), twins)
    rows = [twins.image_id.index(one.image_id) for one in found.nearest]
    assert len({row // 2 for row in rows}) == 5


def test_an_observation_without_a_readable_photo_resembles_nothing() -> None:
    blind = dataclasses.replace(mistakes({"val 4": 3})[0], photos=())
    first, second = nearest([blind, mistakes({"val 1": 7})[0]])
    assert first.nearest == ()
    assert len(second.nearest) == 5


def test_neighbours_of_other_photos_are_refused() -> None:
    with pytest.raises(LearningError, match="trained on 48 photos, train has 46"):
        with_nearest([], VAL, TRAIN.rows(np.arange(46)), neighbours_in(TRAIN))
