"""Ways of answering side by side: official scores, the same draws, and what is left out."""

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.variants import compare, without
from snake_assets.snakeclef.errors import DataError
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
    assert variant.to_json()["intervals"] == {}


def test_leaving_observations_out_scores_the_others() -> None:
    names = [str(number) for number in range(200)]
    (variant,) = without(["3", "77", "nobody"], "also in train", names, GOOD, TRUTH, VENOMOUS)
    kept = ~np.isin(np.arange(200), [3, 77])
    assert variant.name == "the classifier, without 2 observations also in train"
    assert variant.observations == 198
    assert variant.scores == score(TRUTH[kept], GOOD[kept], VENOMOUS)
    assert variant.gain is None


def test_leaving_out_none_or_all_gives_no_row() -> None:
    names = [str(number) for number in range(200)]
    assert without([], "also in train", names, GOOD, TRUTH, VENOMOUS) == []
    assert without(names, "also in train", names, GOOD, TRUTH, VENOMOUS) == []


def test_what_cannot_be_compared_is_named() -> None:
    with pytest.raises(LearningError, match="'short' answers 199 observations of 200"):
        compare({"good": GOOD, "short": GOOD[:-1]}, TRUTH, VENOMOUS)
    with pytest.raises(DataError, match="venom list"):
        compare({"strange": np.full(200, 99)}, TRUTH, VENOMOUS)
    with pytest.raises(DataError, match="no observation"):
        compare({"none": np.array([])}, np.array([]), VENOMOUS)
