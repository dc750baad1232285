"""Temperatures are found again."""

import numpy as np
import pytest

from snake_assets.learning.calibration import COLDEST, fit_temperature, log_loss
from snake_assets.learning.errors import LearningError
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
