"""Rows become vectors of length 1, and those without a direction stay zero."""

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.unit_rows import unit_rows


def test_rows_have_length_one_about_the_centre() -> None:
    features = np.random.default_rng(0).normal(3, 1, (50, 6)).astype(np.float32)
    centre = features.mean(axis=0)
    units = unit_rows(features, centre)
    assert len(units) == 50
    expected = (features - centre) / np.linalg.norm(features - centre, axis=1, keepdims=True)
    np.testing.assert_allclose(units[3:9], expected[3:9], atol=1e-6)
    np.testing.assert_allclose(units[np.array([4, 1])], expected[[4, 1]], atol=1e-6)


def test_a_row_without_a_direction_is_zero_also_where_rounding_leaves_something() -> None:
    features = np.full((3, 5), 0.1, dtype=np.float32)
    features[2] = 0
    assert unit_rows(features)[:].any(axis=1).tolist() == [True, True, False]
    almost = features.astype(np.float64).mean(axis=0) * 1.5 * (1 + 1e-9)
    assert unit_rows(features, almost)[:].any(axis=1).tolist() == [False, False, True]


def test_unusable_features_are_named() -> None:
    broken = np.ones((4, 2), dtype=np.float32)
    broken[2, 1] = np.nan
    with pytest.raises(LearningError, match="row 2"):
        unit_rows(broken)
    with pytest.raises(LearningError, match="centre of the shape"):
        unit_rows(np.ones((4, 2)), np.zeros(3))
    with pytest.raises(LearningError, match=r"\[photos, dims\]"):
        unit_rows(np.ones(4))
