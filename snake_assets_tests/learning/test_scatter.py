"""Scatter: one pass says what two would, and the within-class basis is what it claims."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from snake_assets.learning import scatter
from snake_assets.learning.scatter import WithinClassBasis, measure_scatter
from snake_assets.learning.standardisation import fit_standardisation


def basis_of(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.integer], classes: int
) -> WithinClassBasis:
    found = measure_scatter(features, labels, classes, np.arange(len(features)))
    return found.basis(np.ones(features.shape[1], dtype=np.float32))


def test_one_pass_standardises_as_two_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scatter, "PIECE", 64)
    rng = np.random.default_rng(3)
    features = rng.normal([1000, 0, 0.1], [1, 20, 0], size=(500, 3)).astype(np.float32)
    labels, rows = rng.integers(0, 4, 500), np.sort(rng.permutation(500)[:300])
    found, expected = (
        measure_scatter(features, labels, 5, rows).standardisation(),
        fit_standardisation(features[rows]),
    )
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-5)


def test_class_means_are_those_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scatter, "PIECE", 7)
    rng = np.random.default_rng(4)
    features, labels = rng.normal(5, 2, size=(60, 3)).astype(np.float32), rng.integers(0, 3, 60)
    rows = np.arange(0, 60, 2)
    found = measure_scatter(features, labels, 4, rows)
    for label in range(3):
        own = features[rows][labels[rows] == label].mean(axis=0)
        np.testing.assert_allclose(found.class_means[label] + found.mean, own, rtol=1e-5)
    assert (found.class_means[3] == 0).all() and found.photos[3] == 0


def test_the_scatter_of_many_rows_is_that_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    features, labels = rng.normal(0, [1, 2, 3], (4000, 3)).astype(np.float32), rng.integers(0, 3, 4000)
    whole = measure_scatter(features, labels, 3, np.arange(4000))
    monkeypatch.setattr(scatter, "SCATTER_ROWS", 1500)
    some = measure_scatter(features, labels, 3, np.arange(4000))
    assert (some.within != whole.within).any()
    np.testing.assert_allclose(np.diagonal(some.within), [1, 4, 9], rtol=0.15)
    np.testing.assert_array_equal(some.class_means, whole.class_means)
    np.testing.assert_array_equal(some.variance, whole.variance)


def test_projecting_turns_but_keeps_distances() -> None:
    rng = np.random.default_rng(5)
    features, labels = rng.normal(3, 2, size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50)
    rows = np.arange(10, 50)
    standardisation = fit_standardisation(features)
    projected = basis_of(features, labels, 3).project(
        features, rows, standardisation.mean, standardisation.scale, torch.float32
    )
    expected = standardisation.apply(features)[rows]
    np.testing.assert_allclose(projected @ projected.T, expected @ expected.T, atol=1e-4)


def test_without_shrinkage_the_scatter_within_species_becomes_round() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 200)
    noise = rng.normal(size=(600, 3)) @ np.array([[3.0, 1, 0], [0, 1, 0.5], [0, 0, 0.2]])
    features = (noise + 5 * labels[:, None]).astype(np.float32)
    features -= features.mean(axis=0)
    basis = basis_of(features, labels, 3)
    white = (features @ basis.axes) * basis.stretch(1e-9)
    for label in range(3):
        white[labels == label] -= white[labels == label].mean(axis=0)
    np.testing.assert_allclose(white.T @ white / 600, np.eye(3), atol=1e-2)


def test_full_shrinkage_stretches_all_axes_alike() -> None:
    features = np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32)
    stretch = basis_of(features, np.repeat([0, 1], 30), 2).stretch(1.0)
    np.testing.assert_allclose(stretch, stretch[0], rtol=1e-6)


def test_species_of_identical_photos_leave_features_as_they_are() -> None:
    features = np.repeat(np.array([[1.0, 0], [-1, 0]], dtype=np.float32), 3, axis=0)
    np.testing.assert_array_equal(basis_of(features, np.repeat([0, 1], 3), 2).stretch(0.5), 1.0)
