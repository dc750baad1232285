"""Temperatures are found again, and stated probabilities are held to what came true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.calibration import (
    COLDEST,
    binary_reliability,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)
from snake_assets.learning.errors import LearningError
from snake_assets.learning.observations import POOLINGS, Pooling, pool_observations
from snake_assets.learning.probabilities import softmax


@pytest.mark.parametrize("known", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_recovered(known: float) -> None:
    rng = np.random.default_rng(8)
    logits = known * rng.normal(scale=2, size=(4000, 5))
    chances = softmax(logits, known)
    truth = (chances.cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    found = fit_temperature(logits, [str(row) for row in range(4000)], truth)
    assert found == pytest.approx(known, rel=0.08)


def test_the_observation_is_what_is_calibrated() -> None:
    # Two photos, one clear and wrong in every third observation: single photos would ask for less heat.
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=3, size=(600, 4))
    truth = logits[::2].argmax(axis=1)
    truth[::3] = rng.integers(0, 4, truth[::3].size)
    observations = [str(row // 2) for row in range(600)]
    best = fit_temperature(logits, observations, truth)

    def loss(temperature: float) -> float:
        photos = softmax(logits, temperature)
        return log_loss((photos[::2] + photos[1::2]) / 2, truth)

    assert loss(best) <= min(loss(best * 0.97), loss(best * 1.03))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_pooling_that_is_reported_is_what_is_calibrated(pooling: Pooling) -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 300)
    logits = rng.normal(scale=2, size=(900, 4))
    logits[np.arange(900), np.repeat(truth, 3)] += 2
    observations = [str(row // 3) for row in range(900)]
    weights = rng.random(900)
    best = fit_temperature(logits, observations, truth, pooling, weights)

    def loss(temperature: float) -> float:
        photos = softmax(logits, temperature)
        return log_loss(pool_observations(photos, observations, None, pooling, weights)[1], truth)

    assert loss(best) <= min(loss(best * 0.97), loss(best * 1.03))


def test_logits_without_an_error_end_at_the_coldest() -> None:
    logits = np.eye(3)
    assert fit_temperature(logits, ["a", "b", "c"], np.arange(3)) == pytest.approx(COLDEST, rel=0.1)


def test_log_loss_of_an_impossible_truth_is_finite() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-12))


def test_unusable_material_is_refused() -> None:
    with pytest.raises(LearningError, match="no photo"):
        fit_temperature(np.zeros((0, 2)), [], np.zeros(0, dtype=int))
    with pytest.raises(LearningError, match="2 observations but 1"):
        fit_temperature(np.zeros((2, 2)), ["a", "b"], np.array([0]))


def test_a_hand_worked_reliability() -> None:
    found = binary_reliability(np.array([0.0, 0.1, 0.5, 0.9, 1.0]), np.array([0, 1, 1, 1, 0], dtype=bool), 2)
    assert found.low.tolist() == [0, 0.5] and found.high.tolist() == [0.5, 1]
    # 0.5 is the upper end of the first bin and belongs to it.
    assert found.count.tolist() == [3, 2]
    np.testing.assert_allclose(found.confidence, [0.2, 0.95])
    np.testing.assert_allclose(found.accuracy, [2 / 3, 0.5])
    assert expected_calibration_error(found) == pytest.approx(0.6 * (2 / 3 - 0.2) + 0.4 * 0.45)


def test_reliability_is_about_the_likeliest_species() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.4, 0.3, 0.3]])
    found = reliability(probabilities, np.array([0, 2, -1]), bins=1)
    np.testing.assert_allclose(found.confidence, (0.7 + 0.6 + 0.4) / 3)
    np.testing.assert_allclose(found.accuracy, 1 / 3)


def test_an_empty_bin_says_nothing_and_costs_nothing() -> None:
    found = binary_reliability(np.array([0.95, 0.95]), np.array([True, True]), 10)
    assert np.isnan(found.confidence[:9]).all() and np.isnan(found.accuracy[:9]).all()
    assert expected_calibration_error(found) == pytest.approx(0.05)


def test_true_probabilities_have_a_small_error_and_bold_ones_a_large_one() -> None:
    rng = np.random.default_rng(5)
    chances = softmax(rng.normal(scale=1.5, size=(20_000, 6)), 1.0)
    truth = (chances.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    bold = softmax(np.log(chances), 0.4)
    assert expected_calibration_error(reliability(chances, truth)) < 0.02
    assert expected_calibration_error(reliability(bold, truth)) > 0.15


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_every_statement_is_in_one_bin(statements: list[tuple[float, bool]], bins: int) -> None:
    stated, came_true = (np.array(column) for column in zip(*statements, strict=True))
    found = binary_reliability(stated, came_true, bins)
    assert found.count.sum() == len(statements) and len(found.count) == bins
    filled = found.count > 0
    assert (found.confidence[filled] >= found.low[filled] - 1e-9).all()
    assert (found.confidence[filled] <= found.high[filled] + 1e-9).all()
    assert np.sum(found.accuracy[filled] * found.count[filled]) == pytest.approx(came_true.sum())
    assert 0 <= expected_calibration_error(found) <= 1


def test_unusable_statements_are_refused() -> None:
    with pytest.raises(LearningError, match="between 0 and 1"):
        binary_reliability(np.array([1.2]), np.array([True]))
    with pytest.raises(LearningError, match="between 0 and 1"):
        binary_reliability(np.array([np.nan]), np.array([True]))
    with pytest.raises(LearningError, match="0 statements"):
        reliability(np.zeros((0, 2)), np.zeros(0, dtype=int))
    with pytest.raises(LearningError, match="1 rows of probabilities but 2"):
        reliability(np.full((1, 2), 0.5), np.array([0, 1]))
    with pytest.raises(LearningError, match="1 stated probabilities but 2"):
        binary_reliability(np.array([0.5]), np.array([True, False]))
