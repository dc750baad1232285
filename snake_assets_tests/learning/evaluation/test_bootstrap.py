"""Intervals: every draw is scored as the organisers would, and the bounds behave as bounds should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.bootstrap import (
    DrawnScores,
    Interval,
    draw_observations,
    drawn_scores,
    interval,
)
from snake_assets.snakeclef.metric import score

VENOMOUS = {2: False, 5: True, 9: False, 40: True, 41: False}
PAIRS = st.lists(st.tuples(*[st.sampled_from(sorted(VENOMOUS))] * 2), min_size=1, max_size=70)


def intervals(scores: DrawnScores) -> dict[str, Interval]:
    return {name: interval(values) for name, values in scores.items()}


def assert_scored_officially(
    truth: np.ndarray, predicted: np.ndarray, venomous: dict[int, bool], rows: np.ndarray
) -> None:
    found = drawn_scores(truth, predicted, venomous, rows)
    for draw, taken in enumerate(rows):
        official = score(truth[taken], predicted[taken], venomous)
        assert {name: values[draw] for name, values in found.items()} == {
            name: getattr(official, name) for name in ("track1", "track2", "f1", "accuracy")
        }


@given(PAIRS, st.integers(0, 2**32 - 1))
def test_every_draw_has_the_official_scores_to_the_last_digit(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    truth, predicted = np.array(pairs).T
    identity = np.arange(len(pairs))[None, :]
    rows = np.vstack([identity, draw_observations(len(pairs), draws=4, seed=seed)])
    assert_scored_officially(truth, predicted, VENOMOUS, rows)


def test_many_species_and_more_draws_than_a_block_too() -> None:
    rng = np.random.default_rng(3)
    venomous = {class_id: class_id % 6 == 0 for class_id in range(400)}
    truth = rng.integers(400, size=900)
    predicted = np.where(rng.random(900) < 0.6, truth, rng.integers(400, size=900))
    assert_scored_officially(truth, predicted, venomous, draw_observations(900, draws=120, seed=1))


def test_draws_are_of_observations_with_replacement_and_repeatable() -> None:
    rows = draw_observations(50, draws=200, seed=7)
    assert rows.shape == (200, 50)
    assert rows.min() == 0 and rows.max() == 49
    assert len(np.unique(rows[0])) < 50
    assert (rows == draw_observations(50, draws=200, seed=7)).all()
    assert (rows != draw_observations(50, draws=200, seed=8)).any()


def test_an_interval_holds_what_was_scored_and_narrows_with_more_observations() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for observations in (60, 2400):
        truth = rng.choice(sorted(VENOMOUS), size=observations)
        predicted = np.where(
            rng.random(observations) < 0.8, truth, rng.choice(sorted(VENOMOUS), observations)
        )
        found = intervals(drawn_scores(truth, predicted, VENOMOUS, draw_observations(observations)))
        official = score(truth, predicted, VENOMOUS)
        for name, (low, high) in found.items():
            assert low < getattr(official, name) < high
        widths.append(found["accuracy"][1] - found["accuracy"][0])
    # The width falls with the square root: 40 times the observations, about a sixth.
    assert 4 < widths[0] / widths[1] < 10


def test_the_interval_covers_the_true_accuracy_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(150):
        truth = np.full(120, 2)
        predicted = np.where(rng.random(120) < 0.75, 2, 9)
        rows = draw_observations(120, draws=200, seed=trial)
        low, high = intervals(drawn_scores(truth, predicted, VENOMOUS, rows))["accuracy"]
        covered += low <= 75 <= high
    assert 0.88 <= covered / 150 <= 0.99


def test_without_an_error_every_draw_is_perfect() -> None:
    truth = np.array([2, 5, 5])
    assert intervals(drawn_scores(truth, truth, VENOMOUS, draw_observations(3))) == {
        "track1": (100.0, 100.0),
        "track2": (0.0, 0.0),
        "f1": (100.0, 100.0),
        "accuracy": (100.0, 100.0),
    }


def test_what_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(LearningError, match="0 observations"):
        draw_observations(0)
    with pytest.raises(LearningError, match="venom list"):
        drawn_scores(np.array([2]), np.array([77]), VENOMOUS, draw_observations(1))
