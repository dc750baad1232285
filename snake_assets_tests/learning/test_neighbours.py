"""Nearest training photos: exact, chunk by chunk, in a space where photos of one species lie together."""

import numpy as np
import pytest

from snake_assets.learning import neighbours as module
from snake_assets.learning.neighbours import Neighbours, fit_neighbours

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(5), 20)
CLS = (RNG.normal(size=(5, 12))[LABELS] + 0.4 * RNG.normal(size=(100, 12))).astype(np.float32)
ASKED = CLS[:30] + np.float32(0.1)


def units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("at_once", [7, 1000])
def test_the_search_is_exact_whatever_is_looked_at_together(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", at_once)
    monkeypatch.setattr(module, "REFERENCES_AT_ONCE", at_once)
    near = fit_neighbours(CLS, LABELS, 5)
    rows, cosine = near.nearest(ASKED, 9)
    full = units((ASKED - near.mean) @ near.axes) @ near.vectors.astype(np.float32).T
    np.testing.assert_allclose(cosine, -np.sort(-full, axis=1)[:, :9], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(full, rows, axis=1), cosine, atol=1e-5)


def test_the_space_is_white_within_species() -> None:
    near = fit_neighbours(CLS, LABELS, 5)
    inside = np.vstack([CLS[one == LABELS] - CLS[one == LABELS].mean(axis=0) for one in range(5)])
    before, after = (np.linalg.eigvalsh(np.cov(values.T)) for values in (inside, inside @ near.axes))
    assert after[-1] / after[0] < 0.9 * before[-1] / before[0]


def test_votes_by_hand() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0]], dtype=np.float16)
    near = Neighbours(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), vectors, np.array([2, 0, 2]), 4)
    votes = near.votes(np.array([[3, 0], [0, 0]], dtype=np.float32))
    weights = np.exp(np.array([1, 0.6, -1]) / module.TEMPERATURE)
    expected = np.array([weights[1], 0, weights[0] + weights[2], 0]) / weights.sum()
    np.testing.assert_allclose(votes[0], expected, atol=1e-3)
    # A photo without a direction is as near to all.
    np.testing.assert_allclose(votes[1], [1 / 3, 0, 2 / 3, 0], atol=1e-6)
    assert near.nearest(np.zeros((1, 2), np.float32), 3)[0].tolist() == [[0, 1, 2]]


def test_photos_find_their_own_species_and_only_rows_that_were_remembered() -> None:
    rows = np.flatnonzero(LABELS != 3)
    near = fit_neighbours(CLS, LABELS, 5, rows)
    assert len(near.vectors) == 80 and near.votes(CLS)[:, 3].max() == 0
    assert (near.votes(CLS[rows]).argmax(axis=1) == LABELS[rows]).mean() > 0.9
    assert near.nearest(CLS, 1000)[0].shape == (100, 80)


def test_vectors_that_are_all_equal_vote_alike() -> None:
    near = fit_neighbours(np.ones((6, 3), np.float32), np.array([0, 0, 0, 1, 1, 1]), 2)
    np.testing.assert_allclose(near.votes(np.ones((2, 3), np.float32)), 0.5)
