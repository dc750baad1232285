"""Stated probabilities: honest ones are as far off as luck makes them, boastful ones further."""

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.statements import hold_against_truth


@pytest.mark.parametrize("observations", [100, 4000])
def test_honest_probabilities_are_off_by_luck_alone_and_boastful_ones_by_more(observations: int) -> None:
    rng = np.random.default_rng(observations)
    stated = rng.uniform(0.5, 1, observations)
    honest = hold_against_truth(stated, rng.random(observations) < stated)
    boastful = hold_against_truth(stated, rng.random(observations) < stated - 0.3)
    assert honest.error < 2 * honest.error_by_luck
    assert boastful.error > 2 * boastful.error_by_luck
    assert boastful.error == pytest.approx(0.3, abs=0.12)


def test_luck_fades_with_more_observations() -> None:
    few, many = (hold_against_truth(np.full(n, 0.7), np.arange(n) % 10 < 7) for n in (20, 2000))
    assert many.error_by_luck < 0.2 * few.error_by_luck
    assert many.error < 1e-6


def test_certainty_that_is_right_has_no_error() -> None:
    found = hold_against_truth(np.array([1.0, 0.0]), np.array([True, False]))
    assert found.error == found.error_by_luck == 0.0
    assert found.reliability.count.sum() == 2


def test_nothing_stated_is_an_error() -> None:
    with pytest.raises(LearningError):
        hold_against_truth(np.array([]), np.array([], dtype=bool))
