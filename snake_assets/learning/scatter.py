"""How photos scatter around their species' means, and the basis in which heads are trained.

The algebra runs in torch, so that the thread count chosen for training holds for it too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snake_assets.learning.standardisation import CONSTANT, Standardisation

if TYPE_CHECKING:
    import torch

SCATTER_ROWS = 32_768
# Rows at once, 12 MB of 768 columns. They stay near the processor, and in the same memory: to have fresh
# memory for larger pieces takes three times as long as all sums do.
PIECE = 4096

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scatter:
    """What N photos say of their features.

    Attributes:
        mean: of each column, float64 [D].
        variance: of each column, float64 [D].
        within: mean product of two columns' distances from their species' means, float64 [D, D].
        class_means: of each species, less `mean`, float64 [C, D]; 0 where it has no photo.
        photos: of each species, int64 [C].
    """

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    within: npt.NDArray[np.float64]
    class_means: npt.NDArray[np.float64]
    photos: npt.NDArray[np.int64]

    def standardisation(self) -> Standardisation:
        """As `fit_standardisation` of these photos."""
        spread = np.sqrt(self.variance)
        constant = spread <= CONSTANT * np.abs(self.mean)
        return Standardisation(
            self.mean.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32)
        )

    def common_scale(self) -> float:
        """Root mean square of the columns' standard deviations; 1 where nothing varies."""
        return float(np.sqrt(self.variance.mean())) or 1.0

    def basis(self, scale: npt.NDArray[np.float32]) -> "WithinClassBasis":
        """The within-class basis of the features divided by `scale`, float32 [D]."""
        import torch

        means = torch.from_numpy(self.class_means / scale)
        variance, axes = torch.linalg.eigh(torch.from_numpy(self.within / np.outer(scale, scale)))
        return WithinClassBasis(
            axes.float().numpy(),
            variance.clamp_min(0.0).numpy(),
            (means @ axes).float().numpy(),
            self.photos,
        )


@dataclass(frozen=True, eq=False)
class WithinClassBasis:
    """The principal axes of the scatter of photos around their species' mean.

    Attributes:
        axes: orthonormal, float32 [D, D], an axis per column.
        variance: variance along each axis, float64 [D].
        class_means: of each species along the axes, float32 [C, D].
        photos: of each species, int64 [C].
    """

    axes: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float64]
    class_means: npt.NDArray[np.float32]
    photos: npt.NDArray[np.int64]

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

    def project(
        self,
        features: npt.NDArray[np.float32],
        rows: Rows,
        mean: npt.NDArray[np.float32],
        scale: npt.NDArray[np.float32],
        precision: "torch.dtype",
    ) -> "torch.Tensor":
        """(features[rows] - mean) / scale in terms of the axes, in a precision: [rows, D].

        Only a piece of the rows is ever copied.
        """
        import torch

        axes = torch.from_numpy(self.axes / scale[:, None]).to(precision)
        projected = torch.empty(len(rows), features.shape[1], dtype=precision)
        for own, piece in _pieces(features, rows):
            piece -= torch.from_numpy(mean)
            torch.mm(piece.to(precision), axes, out=projected[own])
        return projected


def measure_scatter(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.integer], classes: int, rows: Rows
) -> Scatter:
    """Mean, variance and class means of some rows, and the scatter around these means.

    The scatter of more than `SCATTER_ROWS` is that of as many evenly spaced ones: products of all columns are
    what takes long, and their means are known to a percent by then.

    Args:
        features: raw, float32 [N, D].
        labels: class of each row of `features`, in 0..classes-1, [N].
        classes: C; one without a row has the mean 0.
        rows: which rows, at least one.
    """
    import torch

    dims = features.shape[1]
    # Distances are taken from a first guess of the mean: far from 0, sums of squares lose their digits.
    guess = features[rows[:PIECE]].mean(axis=0, dtype=np.float64).astype(np.float32)
    own_labels = torch.from_numpy(labels[rows].astype(np.int64))
    squares = torch.zeros(dims, dtype=torch.float64)
    sums = torch.zeros(classes, dims, dtype=torch.float64)
    of_piece = torch.empty(classes, dims)
    for own, piece in _pieces(features, rows):
        piece -= torch.from_numpy(guess)
        sums += of_piece.zero_().index_add_(0, own_labels[own], piece)
        squares += piece.square_().sum(dim=0)
    shift = (sums.sum(dim=0) / len(rows)).numpy()
    photos = np.bincount(labels[rows], minlength=classes)
    class_means = sums.numpy() / np.maximum(photos, 1)[:, None] - shift
    class_means[photos == 0] = 0.0
    mean, variance = guess + shift, np.maximum(squares.numpy() / len(rows) - shift**2, 0.0)

    step = -(-len(rows) // SCATTER_ROWS)
    some, labels_of_some = rows[::step], own_labels[::step]
    species_means = torch.from_numpy((class_means + mean).astype(np.float32))
    within = torch.zeros(dims, dims, dtype=torch.float64)
    for own, piece in _pieces(features, some):
        piece -= species_means[labels_of_some[own]]
        within += piece.T @ piece
    return Scatter(mean, variance, within.numpy() / len(some), class_means, photos)


def _pieces(features: npt.NDArray[np.float32], rows: Rows) -> "Iterator[tuple[slice, torch.Tensor]]":
    # Copies of the rows, each to be used before the next one is asked for.
    import torch

    memory = np.empty((min(PIECE, len(rows)), features.shape[1]), np.float32)
    for start in range(0, len(rows), PIECE):
        own = slice(start, min(start + PIECE, len(rows)))
        piece = memory[: own.stop - start]
        # "raise", which would go through a copy of its own, is left to `labels[rows]`.
        np.take(features, rows[own], axis=0, out=piece, mode="wrap")
        yield own, torch.from_numpy(piece)
