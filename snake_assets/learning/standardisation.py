"""Standardised features: every column has mean 0 and standard deviation 1."""

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


def _pieces(features: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float64]]:
    for start in range(0, len(features), PIECE):
        yield features[start : start + PIECE].astype(np.float64)
