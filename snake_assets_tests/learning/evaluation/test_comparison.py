"""Ways of answering side by side: official scores, the same draws, and what is left out."""

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.comparison import (
    chance_level,
    compare,
    draw_observations,
    drawn_scores,
    interval,
)
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metric import score

VENOMOUS = {1: False, 2: False, 3: True}
RNG = np.random.default_rng(0)
TRUTH = RNG.choice([1, 2, 3], size=200)
GOOD = np.where(RNG.random(200) < 0.95, TRUTH, 1)
POOR = np.where(RNG.random(200) < 0.5, TRUTH, 2)


def test_each_has_the_official_scores_inside_its_intervals() -> None:
    for variant, answer in zip(
        compare({"good": GOOD, "poor": POOR}, TRUTH, VENOMOUS), (GOOD, POOR), strict=True
    ):
        assert variant.scores == score(TRUTH, answer, VENOMOUS)
        assert variant.observations == 200
        for name, (low, high) in variant.intervals.items():
            assert low <= getattr(variant.scores, name) <= high


def test_the_gain_is_over_the_first_on_the_same_draws() -> None:
    first, same, poor = compare({"good": GOOD, "same": GOOD.copy(), "poor": POOR}, TRUTH, VENOMOUS)
    assert first.gain is None
    assert same.gain == (0.0, 0.0)
    low, high = poor.gain
    assert low < poor.scores.track1 - first.scores.track1 < high < 0


def test_a_single_observation_has_no_interval() -> None:
    (variant,) = compare({"only": np.array([3])}, np.array([3]), VENOMOUS)
    assert variant.scores.track1 == 100.0
    assert variant.intervals == {} and variant.gain is None


def test_what_cannot_be_compared_is_named() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        compare({"good": GOOD, "short": GOOD[:-1]}, TRUTH, VENOMOUS)
    with pytest.raises(DataError, match="venom list"):
        compare({"strange": np.full(200, 99)}, TRUTH, VENOMOUS)
    with pytest.raises(DataError, match="no observation"):
        compare({"none": np.array([])}, np.array([]), VENOMOUS)


def test_guessing_is_right_one_time_in_as_many_as_there_are_species() -> None:
    level = chance_level(TRUTH, VENOMOUS, [1, 2, 3])
    assert level["accuracy"] == pytest.approx(100 / 3, abs=1)
    assert level == chance_level(TRUTH, VENOMOUS, [3, 1, 2])
    with pytest.raises(LearningError, match="0 species"):
        chance_level(TRUTH, VENOMOUS, [])


def test_the_interval_covers_the_true_accuracy_about_as_often_as_it_says() -> None:
    covered = 0
    for _ in range(100):
        truth = np.full(120, 2)
        predicted = np.where(RNG.random(120) < 0.75, 2, 1)
        low, high = interval(
            drawn_scores(truth, predicted, VENOMOUS, draw_observations(120, draws=100))["accuracy"]
        )
        covered += low <= 75 <= high
    assert 86 <= covered <= 100
