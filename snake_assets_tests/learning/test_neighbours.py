"""Nearest photos are those of comparing all with all, and their votes are DINO's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snake_assets.learning import neighbours as module
from snake_assets.learning.errors import LearningError
from snake_assets.learning.neighbours import nearest, vote


def by_votes(
    train: np.ndarray, labels: np.ndarray, classes: int, queries: np.ndarray, k: int, temperature: float
) -> np.ndarray:
    return vote(*nearest(train, queries, k), labels, classes, k, temperature)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", 5)
    monkeypatch.setattr(module, "TRAIN_AT_ONCE", 8)


@settings(max_examples=40)
@given(st.integers(0, 999), st.integers(1, 30), st.integers(0, 12), st.integers(1, 40), st.booleans())
def test_the_nearest_are_those_of_comparing_all_with_all(
    seed: int, photos: int, asked: int, k: int, centred: bool
) -> None:
    rng = np.random.default_rng(seed)
    train, queries = rng.normal(1, 1, (photos, 6)), rng.normal(1, 1, (asked, 6))
    centre = np.full(6, 0.9) if centred else None
    rows, cosine = nearest(train, queries, k, centre)
    left, right = (values - (0 if centre is None else centre) for values in (queries, train))
    left, right = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (left, right))
    exact = left @ right.T
    kept = min(k, photos)
    assert rows.shape == cosine.shape == (asked, kept)
    assert rows.dtype == np.int64 and cosine.dtype == np.float32
    np.testing.assert_array_equal(rows, np.argsort(-exact, axis=1)[:, :kept])
    np.testing.assert_allclose(cosine, -np.sort(-exact, axis=1)[:, :kept], atol=1e-6)


def test_equally_near_photos_come_lowest_first() -> None:
    train = np.tile(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]), (4, 1))
    rows, cosine = nearest(train, np.array([[3.0, 0.0]]), 10)
    assert rows[0, :8].tolist() == [0, 2, 3, 5, 6, 8, 9, 11]
    assert set(rows[0, 8:].tolist()) < {1, 4, 7, 10} and rows[0, 8] < rows[0, 9]
    assert cosine.tolist() == [[1] * 8 + [0] * 2]


def test_votes_by_hand() -> None:
    cosine = np.array([[0.9, 0.8, 0.1]], dtype=np.float32)
    labels = np.array([2, 0, 2])
    rows = np.array([[0, 1, 2]])
    weights = np.exp(cosine[0].astype(float) / 0.5)
    np.testing.assert_allclose(
        vote(rows, cosine, labels, 4, 3, 0.5)[0],
        np.array([weights[1], 0, weights[0] + weights[2], 0]) / weights.sum(),
        rtol=1e-6,
    )
    assert vote(rows, cosine, labels, 4, 1, 0.5).tolist() == [[0, 0, 1, 0]]


def test_one_search_serves_every_k_and_temperature() -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 7
    train = rng.normal(size=(7, 5))[labels] + 0.5 * rng.normal(size=(60, 5))
    queries = rng.normal(size=(12, 5))
    rows, cosine = nearest(train, queries, 20)
    for k, temperature in ((1, 0.07), (5, 0.02), (20, 1.0)):
        own = by_votes(train, labels, 7, queries, k, temperature)
        assert own.dtype == np.float32 and own.shape == (12, 7)
        np.testing.assert_allclose(own.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(vote(rows, cosine, labels, 7, k, temperature), own, atol=1e-6)


def test_separate_species_are_told_apart() -> None:
    rng = np.random.default_rng(4)
    centres, labels = rng.normal(size=(9, 20)), np.repeat(np.arange(9), 20)
    train = centres[labels] + 0.2 * rng.normal(size=(180, 20))
    queries = centres + 0.2 * rng.normal(size=(9, 20))
    answers = by_votes(train, labels, 9, queries, 10, 0.07).argmax(axis=1)
    assert answers.tolist() == list(range(9))


def test_the_smallest_temperature_listens_to_the_nearest_and_stays_finite() -> None:
    labels = np.array([0, 1])
    train = np.array([[1.0, 0.0], [0.9, 0.1]])
    assert by_votes(train, labels, 2, train, 2, 1e-6).tolist() == [[1, 0], [0, 1]]


def test_impossible_requests() -> None:
    some = np.ones((3, 4))
    with pytest.raises(LearningError, match="0 photos"):
        nearest(np.zeros((0, 4)), some, 1)
    with pytest.raises(LearningError, match="0 neighbours"):
        nearest(some, some, 0)
    with pytest.raises(LearningError, match="no cosine"):
        nearest(some, np.ones((3, 5)), 1)
    with pytest.raises(LearningError, match="NaN"):
        nearest(some, np.full((1, 4), np.nan), 1)
    for k, temperature in ((0, 0.1), (1, 0.0), (1, float("nan"))):
        with pytest.raises(LearningError, match="above 0"):
            vote(
                np.zeros((1, 1), dtype=np.int64),
                np.ones((1, 1), dtype=np.float32),
                np.zeros(1, dtype=int),
                1,
                k,
                temperature,
            )
