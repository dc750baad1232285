"""Standardisation of columns."""

import numpy as np

from snake_assets.learning.standardisation import fit_standardisation


def test_columns_get_mean_zero_and_unit_spread() -> None:
    features = np.random.default_rng(0).normal(50, [1, 20, 300], size=(500, 3)).astype(np.float32)
    standardised = fit_standardisation(features).apply(features)
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standardised.std(axis=0), 1, atol=1e-4)


def test_a_constant_column_becomes_zero() -> None:
    features = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]], dtype=np.float32)
    standardised = fit_standardisation(features).apply(features)
    np.testing.assert_allclose(standardised[:, 0], 0, atol=1e-6)
