"""Standardised features, and the within-class basis in which heads are trained.

The algebra of the basis runs in torch, so that the thread count chosen for training holds for it too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Rows per piece: float64 sums over 182,261 x 768 values then need 100 MB, not 1.1 GB.
PIECE = 16_384
# A column whose spread is below this share of its size holds nothing but rounding.
CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Standardisation:
    """x -> (x - mean) / scale, column by column; mean and scale are float32 [D].

    A constant column has the scale 1, so that it becomes 0 instead of a division by nothing.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    def apply(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Standardise features, float32 [N, D] -> float32 [N, D]."""
        standardised = features - self.mean
        standardised /= self.scale
        return standardised


def fit_standardisation(features: npt.NDArray[np.float32]) -> Standardisation:
    """Mean and standard deviation of each column of features, float32 [N, D] with N >= 1."""
    mean = features.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for piece in _pieces(features):
        squares += np.square(piece - mean).sum(axis=0)
    spread = np.sqrt(squares / len(features))
    constant = spread <= CONSTANT * np.abs(mean)
    return Standardisation(mean.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32))


@dataclass(frozen=True, eq=False)
class WithinClassBasis:
    """The principal axes of the scatter of photos around their species' mean.

    Attributes:
        axes: orthonormal, float32 [D, D], an axis per column.
        variance: variance along each axis, float64 [D].
    """

    axes: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float64]

    def project(self, standardised: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Standardised features in terms of the axes: float32 [N, D] -> float32 [N, D]."""
        import torch

        projected: npt.NDArray[np.float32] = (
            torch.from_numpy(standardised) @ torch.from_numpy(self.axes)
        ).numpy()
        return projected

    def stretch(self, shrinkage: float) -> npt.NDArray[np.float32]:
        """Factor per axis that whitens the shrunk scatter (1 - s) S + s tr(S)/D I: float32 [D].

        With shrinkage 1 all factors are equal (nothing is whitened); towards 0 the directions in which
        photos of ONE species differ count less and less. Shrinkage as in Friedman, "Regularized
        Discriminant Analysis" (1989).
        """
        mean_variance = float(self.variance.mean())
        if mean_variance <= CONSTANT:
            return np.ones(self.variance.size, dtype=np.float32)
        return (((1 - shrinkage) * self.variance + shrinkage * mean_variance) ** -0.5).astype(np.float32)


def within_class_basis(
    standardised: npt.NDArray[np.float32], labels: npt.NDArray[np.integer], classes: int
) -> WithinClassBasis:
    """Axes of the pooled within-class scatter of standardised features, float32 [N, D].

    Args:
        standardised: features of mean 0, float32 [N, D].
        labels: class of each row, in 0..classes-1, [N].
        classes: number of classes; one without a row is passed over.
    """
    import torch

    dims = standardised.shape[1]
    total = torch.zeros(dims, dims, dtype=torch.float64)
    sums = torch.zeros(classes, dims, dtype=torch.float64)
    start = 0
    for values in _pieces(standardised):
        piece = torch.from_numpy(values)
        total += piece.T @ piece
        sums.index_add_(0, torch.from_numpy(labels[start : start + len(values)].astype(np.int64)), piece)
        start += len(values)
    photos = torch.from_numpy(np.maximum(np.bincount(labels, minlength=classes), 1))
    between = (sums / photos[:, None]).T @ sums
    variance, axes = torch.linalg.eigh((total - between) / len(standardised))
    return WithinClassBasis(axes.float().numpy(), variance.clamp_min(0.0).numpy())


def _pieces(features: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float64]]:
    for start in range(0, len(features), PIECE):
        yield features[start : start + PIECE].astype(np.float64)
