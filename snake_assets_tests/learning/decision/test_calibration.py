"""Temperatures are found again, and stated probabilities are held to what came true."""

import numpy as np
import pytest

from snake_assets.learning.decision.calibration import COLDEST, fit_temperature, log_loss, reliability
from snake_assets.learning.decision.pooling import softmax, tempered


@pytest.mark.parametrize("known", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_recovered(known: float) -> None:
    rng = np.random.default_rng(8)
    logits = known * rng.normal(size=(4000, 5))
    truth = (softmax(logits, known).cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    probabilities = softmax(logits)
    assert fit_temperature(probabilities, truth) == pytest.approx(known, rel=0.08)
    np.testing.assert_allclose(tempered(probabilities, known), softmax(logits, known), atol=1e-9)


def test_probabilities_without_an_error_end_at_the_coldest() -> None:
    assert fit_temperature(softmax(np.eye(3)), np.arange(3)) == pytest.approx(COLDEST, rel=0.1)


def test_log_loss_of_an_impossible_truth_is_finite() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-12))


def test_a_hand_worked_reliability() -> None:
    # 0.1 is the upper end of the first of ten bins and belongs to it.
    found = reliability(np.array([0.0, 0.1, 0.95, 1.0]), np.array([0, 1, 1, 0], dtype=bool))
    assert found.count.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    np.testing.assert_allclose(found.confidence[[0, 9]], [0.05, 0.975])
    np.testing.assert_allclose(found.accuracy[[0, 9]], [0.5, 0.5])
    assert np.isnan(found.confidence[1:9]).all() and np.isnan(found.accuracy[1:9]).all()
    assert found.error == pytest.approx(0.5 * 0.45 + 0.5 * 0.475)


def test_true_probabilities_err_by_luck_alone_and_bold_ones_by_more() -> None:
    rng = np.random.default_rng(5)
    stated = rng.random(5000)
    true = reliability(stated, rng.random(5000) < stated)
    assert true.error < 3 * true.error_by_luck < 0.1
    bold = reliability(np.where(stated > 0.5, 0.99, 0.01), rng.random(5000) < stated)
    assert bold.error > 0.15
