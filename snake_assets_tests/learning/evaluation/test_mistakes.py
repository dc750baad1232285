"""Mistakes: ordered by what they cost, and beside the training photos that resemble them."""

import dataclasses

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets_tests.learning.evaluation.judged import (
    TRAIN,
    VAL,
    judged,
    neighbours_in,
    train_table,
    truth_of,
)


def test_the_most_costly_come_first_then_the_surest() -> None:
    # Species by three observations: 3 (harmless), 7 (venomous), 12 (harmless), 30 (venomous).
    found = judged(
        {"val 0": 12, "val 1": 7, "val 3": 12, "val 4": 3, "val 5": 30, "val 9": 7},
        probability={"val 3": 0.4, "val 4": 0.7, "val 1": 0.5, "val 5": 0.6, "val 9": 0.55},
    )
    assert [(one.observation_id, one.cost) for one in found.mistakes] == [
        ("val 4", 5),
        ("val 3", 5),
        ("val 5", 2),
        ("val 9", 2),
        ("val 1", 2),
        ("val 0", 1),
    ]
    first = found.mistakes[0]
    assert (first.truth, first.predicted) == (7, 3)
    assert first.probability == pytest.approx(0.7)
    assert first.p_venomous == pytest.approx(0.3)
    assert first.photos == ("val/8.jpg", "val/9.jpg")
    assert [one.observation_id for one in found.dangerous] == ["val 4", "val 3"]


def test_the_training_photos_nearest_to_any_of_its_photos_as_the_classifier_has_it() -> None:
    (found,) = judged({"val 4": 3}).mistakes
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
    (found,) = judged({"val 4": 3}, twins).mistakes
    rows = [twins.image_id.index(one.image_id) for one in found.nearest]
    assert len({row // 2 for row in rows}) == 5


def test_an_observation_without_a_readable_photo_resembles_nothing() -> None:
    seen = VAL.rows(np.delete(np.arange(len(VAL)), [8, 9]))
    blind, other = judged({"val 4": 3, "val 1": 7}, val=seen, truth=truth_of(VAL)).mistakes
    assert (blind.observation_id, blind.photos, blind.nearest) == ("val 4", (), ())
    assert len(other.nearest) == 5


def test_only_the_first_ten_mistakes_are_explained() -> None:
    wrong = {name: 3 if species != 3 else 12 for name, species in truth_of(VAL).items()}
    assert [len(one.nearest) for one in judged(wrong).mistakes] == [5] * 10 + [0] * 2


def test_neighbours_of_other_photos_are_refused() -> None:
    with pytest.raises(LearningError, match="trained on 48 photos, train has 46"):
        judged(train=TRAIN.rows(np.arange(46)), trained_on=TRAIN)
