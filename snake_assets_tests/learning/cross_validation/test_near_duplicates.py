"""Near duplicates: exactly those that comparing all with all finds, and no trouble where all look alike."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snake_assets.learning.cross_validation import near_duplicates as module
from snake_assets.learning.cross_validation.near_duplicates import duplicate_groups, near_duplicates
from snake_assets.learning.errors import LearningError

Floats = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a few hundred rows are searched in many tiles, windows and checks.
    monkeypatch.setattr(module, "TILE_ROWS", 16)
    monkeypatch.setattr(module, "TILE_COLUMNS", 40)
    monkeypatch.setattr(module, "CHECKED_AT_ONCE", 50)


def photos(seed: int, rows: int = 120, dims: int = 50, copies: int = 40) -> Floats:
    """Clusters away from the origin, in which the last `copies` rows are nearly earlier ones."""
    rng = np.random.default_rng(seed)
    features = (
        2 + rng.normal(size=(12, dims))[rng.integers(0, 12, rows)] + 0.7 * rng.normal(size=(rows, dims))
    )
    blur = rng.choice([0.0, 0.02, 0.1, 0.2], (copies, 1))
    features[-copies:] = features[:copies] + blur * rng.normal(size=(copies, dims))
    return features.astype(np.float32)


def cosines(left: Floats, right: Floats, centre: npt.NDArray[np.floating] | float) -> npt.NDArray[np.float64]:
    units = [rows.astype(np.float64) - centre for rows in (left, right)]
    left, right = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in units)
    return np.asarray(left @ right.T)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.5, 0.9, 0.99, 0.9999]), st.booleans())
def test_the_pairs_are_those_of_comparing_all_with_all(seed: int, least: float, centred: bool) -> None:
    features = photos(seed)
    left, right = features[:70], features[70:]
    centre = features.mean(axis=0) if centred else None
    exact = cosines(left, right, 0.0 if centre is None else centre)
    found = near_duplicates(left, right, least, centre, 10_000)
    assert not found.truncated
    above = np.zeros(exact.shape, dtype=bool)
    above[tuple(found.pairs.T)] = True
    np.testing.assert_array_equal(found.pairs, np.argwhere(above))
    # float32 may decide either way within 1e-6.
    clear = np.abs(exact - least) > 1e-6
    np.testing.assert_array_equal(above[clear], exact[clear] > least)
    np.testing.assert_allclose(found.cosine, exact[tuple(found.pairs.T)], atol=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_groups_are_what_the_pairs_connect(seed: int) -> None:
    features = photos(seed)
    groups = duplicate_groups(features, 0.97)
    expected = np.arange(len(features))
    for i, j in np.argwhere(cosines(features, features, 0.0) > 0.97):
        expected[expected == expected[j]] = expected[i]
    np.testing.assert_array_equal(groups[:, None] == groups, expected[:, None] == expected)


def test_a_chain_is_one_group() -> None:
    angles = np.arange(20) * 0.1
    line = np.column_stack([np.cos(angles), np.sin(angles)])
    assert duplicate_groups(line, np.cos(0.11)).tolist() == [0] * 20
    assert duplicate_groups(line, np.cos(0.09)).tolist() == list(range(20))


def test_rows_without_a_direction_are_alike_and_like_no_other() -> None:
    features = np.eye(4, dtype=np.float32)[[0, 1, 2, 0]]
    features[[1, 2]] = 0
    assert duplicate_groups(features, 0.0).tolist() == [0, 1, 1, 0]
    pairs = near_duplicates(features, features, 0.99, None, 100).pairs
    assert pairs.tolist() == [[0, 0], [0, 3], [1, 1], [1, 2], [2, 1], [2, 2], [3, 0], [3, 3]]
    equal = np.tile(np.float32([0.1, 0.7, 0.3]), (300, 1))
    for centre in (None, equal.mean(axis=0)):
        assert duplicate_groups(equal, 0.99, centre).tolist() == [0] * 300


def test_where_everything_looks_alike_the_search_ends() -> None:
    rng = np.random.default_rng(3)
    alike = (5 + 0.1 * rng.normal(size=(3000, 40))).astype(np.float32)
    found = near_duplicates(alike, alike, 0.99, None, 100)
    assert found.truncated and found.pairs.shape == (100, 2) and (found.cosine > 0.99).all()
    assert (duplicate_groups(alike, 0.99) == 0).all()
    # What sets them apart is what their mean is not.
    assert duplicate_groups(alike, 0.99, alike.mean(axis=0)).max() == len(alike) - 1


def test_few_or_no_rows() -> None:
    none, few = np.zeros((0, 4)), np.ones((3, 4))
    assert near_duplicates(none, few, 0.99, None, 100).pairs.shape == (0, 2)
    assert near_duplicates(few, none, 0.99, None, 100).pairs.shape == (0, 2)
    assert duplicate_groups(np.ones((1, 4)), 0.99).tolist() == [0]
    assert duplicate_groups(none, 0.99).tolist() == []


def test_splits_of_two_backbones_cannot_be_compared() -> None:
    with pytest.raises(LearningError, match="4 and of 5 dims"):
        near_duplicates(np.ones((3, 4)), np.ones((3, 5)), 0.99, None, 100)
