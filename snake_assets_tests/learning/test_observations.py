"""Photos become observations by pooling their probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.errors import LearningError
from snake_assets.learning.observations import POOLINGS, Pooling, pool_observations

PHOTOS = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
OBSERVATIONS = ["b", "a", "b", "b"]


def test_a_hand_worked_example() -> None:
    names, means = pool_observations(PHOTOS, OBSERVATIONS)
    assert names == ["b", "a"]
    np.testing.assert_allclose(means, [[0.6, 0.4], [0.2, 0.8]])


def test_an_explicit_order_shows_observations_without_a_photo() -> None:
    for pooling in POOLINGS:
        names, pooled = pool_observations(PHOTOS, OBSERVATIONS, ["a", "lost", "b"], pooling)
        assert names == ["a", "lost", "b"]
        np.testing.assert_allclose(pooled[0], [0.2, 0.8])
        assert np.isnan(pooled[1]).all()
        np.testing.assert_allclose(pooled[[0, 2]].sum(axis=1), 1)


def test_the_geometric_mean_by_hand() -> None:
    _, pooled = pool_observations(np.array([[0.9, 0.1], [0.5, 0.5]]), ["x", "x"], pooling="log_mean")
    odds = np.sqrt((0.9 / 0.1) * (0.5 / 0.5))
    np.testing.assert_allclose(pooled, [[odds / (1 + odds), 1 / (1 + odds)]])


def test_a_photo_that_knows_nothing_hardly_counts_by_entropy() -> None:
    photos = np.array([[0.98, 0.01, 0.01], [1 / 3, 1 / 3, 1 / 3]])
    _, pooled = pool_observations(photos, ["x", "x"], pooling="entropy")
    np.testing.assert_allclose(pooled[0], photos[0], atol=0.002)
    _, undecided = pool_observations(photos[[1, 1]], ["x", "x"], pooling="entropy")
    np.testing.assert_allclose(undecided[0], 1 / 3)


def test_a_single_species_is_certain_whatever_the_pooling() -> None:
    for pooling in POOLINGS:
        np.testing.assert_allclose(pool_observations(np.ones((2, 1)), ["x", "x"], pooling=pooling)[1], 1)


def test_a_zero_is_no_veto_of_the_geometric_mean() -> None:
    photos = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(pool_observations(photos, ["x", "x"], pooling="log_mean")[1], [[0.5, 0.5]])


def test_weights_multiply() -> None:
    weights = np.array([3.0, 7.0, 1.0, 0.0])
    _, means = pool_observations(PHOTOS, OBSERVATIONS, weights=weights)
    np.testing.assert_allclose(means, [(3 * PHOTOS[0] + PHOTOS[2]) / 4, PHOTOS[1]])


def test_an_observation_whose_weights_are_all_zero_counts_its_photos_alike() -> None:
    for pooling in POOLINGS:
        _, alike = pool_observations(PHOTOS, OBSERVATIONS, pooling=pooling)
        _, pooled = pool_observations(
            PHOTOS, OBSERVATIONS, pooling=pooling, weights=np.array([0.0, 1.0, 0.0, 0.0])
        )
        np.testing.assert_allclose(pooled, alike)


@st.composite
def photo_sets(draw: st.DrawFn) -> tuple[np.ndarray, list[str], np.ndarray]:
    photos, classes = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    masses = draw(st.lists(st.integers(0, 9), min_size=photos * classes, max_size=photos * classes))
    values = np.array(masses, dtype=np.float64).reshape(photos, classes)
    values[values.sum(axis=1) == 0] = 1
    names = draw(st.lists(st.sampled_from("abcd"), min_size=photos, max_size=photos))
    weights = st.one_of(st.just(0.0), st.floats(1e-300, 1e300))
    return (
        values / values.sum(axis=1, keepdims=True),
        names,
        np.array(draw(st.lists(weights, min_size=photos, max_size=photos))),
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@given(drawn=photo_sets())
def test_pooled_photos_are_probabilities_and_equal_photos_change_nothing(
    pooling: Pooling, drawn: tuple[np.ndarray, list[str], np.ndarray]
) -> None:
    photos, names, weights = drawn
    _, pooled = pool_observations(photos, names, pooling=pooling, weights=weights)
    assert (pooled >= 0).all()
    np.testing.assert_allclose(pooled.sum(axis=1), 1)
    order = list(dict.fromkeys(names))
    _, twice = pool_observations(
        np.vstack([photos, photos[::-1]]), names + names[::-1], order, pooling, np.r_[weights, weights[::-1]]
    )
    np.testing.assert_allclose(twice, pooled, atol=1e-12)
    _, lone = pool_observations(photos, [str(row) for row in range(len(photos))], None, pooling, weights)
    np.testing.assert_allclose(lone, photos, atol=1e-10)


def test_float32_photos_are_summed_in_float64() -> None:
    photos = np.full((100_000, 1), 0.1, dtype=np.float32)
    _, means = pool_observations(photos, ["one"] * 100_000)
    assert means.dtype == np.float64
    assert means[0, 0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_no_photo_gives_no_observation() -> None:
    for pooling in POOLINGS:
        names, pooled = pool_observations(np.zeros((0, 3)), [], pooling=pooling)
        assert names == [] and pooled.shape == (0, 3)


def test_orders_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LearningError, match="'a' first"):
        pool_observations(PHOTOS, OBSERVATIONS, ["b"])
    with pytest.raises(LearningError, match="twice"):
        pool_observations(PHOTOS, OBSERVATIONS, ["a", "b", "a"])
    with pytest.raises(LearningError, match="4 rows of probabilities for 1"):
        pool_observations(PHOTOS, ["a"])


@pytest.mark.parametrize("weights", [[1, 1, 1, -1], [1, 1, 1, np.nan], [1, np.inf, 1, 1], [1, 1]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(LearningError, match=r"[Ww]eight"):
        pool_observations(PHOTOS, OBSERVATIONS, weights=np.array(weights))
