"""Photos become observations by the mean of their probabilities."""

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.observations import average_observations

PHOTOS = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
OBSERVATIONS = ["b", "a", "b", "b"]


def test_a_hand_worked_example() -> None:
    names, means = average_observations(PHOTOS, OBSERVATIONS)
    assert names == ["b", "a"]
    np.testing.assert_allclose(means, [[0.6, 0.4], [0.2, 0.8]])


def test_an_explicit_order_shows_observations_without_a_photo() -> None:
    names, means = average_observations(PHOTOS, OBSERVATIONS, ["a", "lost", "b"])
    assert names == ["a", "lost", "b"]
    np.testing.assert_allclose(means[[0, 2]], [[0.2, 0.8], [0.6, 0.4]])
    assert np.isnan(means[1]).all()


def test_float32_photos_are_summed_in_float64() -> None:
    photos = np.full((100_000, 1), 0.1, dtype=np.float32)
    _, means = average_observations(photos, ["one"] * 100_000)
    assert means.dtype == np.float64
    assert means[0, 0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_no_photo_gives_no_observation() -> None:
    names, means = average_observations(np.zeros((0, 3)), [])
    assert names == [] and means.shape == (0, 3)


def test_orders_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LearningError, match="'a' first"):
        average_observations(PHOTOS, OBSERVATIONS, ["b"])
    with pytest.raises(LearningError, match="twice"):
        average_observations(PHOTOS, OBSERVATIONS, ["a", "b", "a"])
    with pytest.raises(LearningError, match="4 rows of probabilities for 1"):
        average_observations(PHOTOS, ["a"])
