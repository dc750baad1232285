"""Standardisation and the within-class basis."""

import numpy as np

from snake_assets.learning.standardisation import fit_standardisation, within_class_basis


def test_columns_get_mean_zero_and_unit_spread() -> None:
    features = np.random.default_rng(0).normal(50, [1, 20, 300], size=(500, 3)).astype(np.float32)
    standardised = fit_standardisation(features).apply(features)
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standardised.std(axis=0), 1, atol=1e-4)


def test_a_constant_column_becomes_zero() -> None:
    features = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]], dtype=np.float32)
    standardised = fit_standardisation(features).apply(features)
    np.testing.assert_allclose(standardised[:, 0], 0, atol=1e-6)


def test_without_shrinkage_the_scatter_within_species_becomes_round() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 200)
    noise = rng.normal(size=(600, 3)) @ np.array([[3.0, 1, 0], [0, 1, 0.5], [0, 0, 0.2]])
    features = (noise + 5 * labels[:, None]).astype(np.float32)
    features -= features.mean(axis=0)
    basis = within_class_basis(features, labels, 3)
    white = (features @ basis.axes) * basis.stretch(1e-9)
    for label in range(3):
        white[labels == label] -= white[labels == label].mean(axis=0)
    np.testing.assert_allclose(white.T @ white / 600, np.eye(3), atol=1e-2)


def test_full_shrinkage_stretches_all_axes_alike() -> None:
    features = np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32)
    stretch = within_class_basis(features, np.repeat([0, 1], 30), 2).stretch(1.0)
    np.testing.assert_allclose(stretch, stretch[0], rtol=1e-6)


def test_species_of_identical_photos_leave_features_as_they_are() -> None:
    features = np.repeat(np.array([[1.0, 0], [-1, 0]], dtype=np.float32), 3, axis=0)
    np.testing.assert_array_equal(within_class_basis(features, np.repeat([0, 1], 3), 2).stretch(0.5), 1.0)
