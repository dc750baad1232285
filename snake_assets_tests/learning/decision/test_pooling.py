"""Photos become observations by pooling their probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.decision.pooling import mean_by_observation, observation_rows, pool_observations
from snake_assets.learning.errors import LearningError

PHOTOS = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
OBSERVATIONS = ["b", "a", "b", "b"]


def test_means_by_hand() -> None:
    names, rows = observation_rows(OBSERVATIONS)
    assert names == ["b", "a"]
    np.testing.assert_allclose(mean_by_observation(PHOTOS, rows, 2), [[0.6, 0.4], [0.2, 0.8]])
    _, pooled = pool_observations(np.array([[0.9, 0.1], [0.5, 0.5]]), ["x", "x"])
    odds = np.sqrt((0.9 / 0.1) * (0.5 / 0.5))
    np.testing.assert_allclose(pooled, [[odds / (1 + odds), 1 / (1 + odds)]])


def test_an_explicit_order_shows_observations_without_a_photo() -> None:
    names, pooled = pool_observations(PHOTOS, OBSERVATIONS, ["a", "lost", "b"])
    assert names == ["a", "lost", "b"]
    np.testing.assert_allclose(pooled[0], [0.2, 0.8])
    assert np.isnan(pooled[1]).all()


def test_a_zero_is_no_veto_of_the_geometric_mean() -> None:
    photos = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(pool_observations(photos, ["x", "x"])[1], [[0.5, 0.5]])


@st.composite
def photo_sets(draw: st.DrawFn) -> tuple[np.ndarray, list[str]]:
    photos, classes = draw(st.integers(0, 12)), draw(st.integers(1, 5))
    masses = draw(st.lists(st.integers(0, 9), min_size=photos * classes, max_size=photos * classes))
    values = np.array(masses, dtype=np.float64).reshape(photos, classes)
    values[values.sum(axis=1) == 0] = 1
    names = draw(st.lists(st.sampled_from("abcd"), min_size=photos, max_size=photos))
    return values / values.sum(axis=1, keepdims=True), names


@given(photo_sets())
def test_pooled_photos_are_probabilities_and_equal_photos_change_nothing(
    drawn: tuple[np.ndarray, list[str]],
) -> None:
    photos, names = drawn
    found, pooled = pool_observations(photos, names)
    assert pooled.shape == (len(set(names)), photos.shape[1]) and pooled.dtype == np.float64
    assert (pooled >= 0).all()
    np.testing.assert_allclose(pooled.sum(axis=1), 1)
    _, twice = pool_observations(np.vstack([photos, photos[::-1]]), names + names[::-1], found)
    np.testing.assert_allclose(twice, pooled, atol=1e-12)


def test_orders_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LearningError, match="'a' first"):
        pool_observations(PHOTOS, OBSERVATIONS, ["b"])
    with pytest.raises(LearningError, match="twice"):
        pool_observations(PHOTOS, OBSERVATIONS, ["a", "b", "a"])
