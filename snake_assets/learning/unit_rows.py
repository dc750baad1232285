"""Rows of a matrix as vectors of length 1, for cosines."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

# Rounding leaves this share of a vector's length when its like is subtracted: no direction to speak of.
ROUNDING = 1e-6
PIECE = 8192


@dataclass(frozen=True, eq=False)
class UnitRows:
    """N vectors of D dims and length 1, made where they are looked at, so that they are never all in memory.

    A row that is zero, or equal to the centre, has no direction and stays zero: its cosine with all is 0.

    Attributes:
        features: the vectors as they come, [N, D].
        centre: subtracted from every row, float32 [D].
        scale: 1 over the length of what is left, float32 [N]; 0 for a row without direction.
    """

    features: npt.NDArray[np.floating]
    centre: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.scale)

    def __getitem__(self, rows: slice | npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """These rows, float32 [n, D]."""
        units = self.features[rows].astype(np.float32)
        units -= self.centre
        units *= self.scale[rows, None]
        return units


def unit_rows(features: npt.NDArray[np.floating], centre: npt.NDArray[np.floating] | None = None) -> UnitRows:
    """Features [N, D] less a centre [D] as unit vectors; without a centre, the features themselves.

    Raises:
        LearningError: features that are not [N, D], a centre of other dims, a value that is not finite.
    """
    if features.ndim != 2:
        raise LearningError(f"Features of the shape {features.shape}; they should be [photos, dims].")
    origin = np.zeros(features.shape[1]) if centre is None else np.asarray(centre)
    if origin.shape != features.shape[1:]:
        raise LearningError(f"A centre of the shape {origin.shape} for features of {features.shape[1]} dims.")
    subtracted = origin.astype(np.float32)
    scale = np.zeros(len(features), dtype=np.float32)
    for start in range(0, len(features), PIECE):
        piece = features[start : start + PIECE].astype(np.float32)
        before = np.linalg.norm(piece, axis=1)
        after = np.linalg.norm(piece - subtracted, axis=1)
        if not np.isfinite(after).all():
            row = start + int(np.flatnonzero(~np.isfinite(after))[0])
            raise LearningError(f"Features of row {row} hold a NaN or infinite value: compute them again.")
        np.divide(1, after, out=scale[start : start + PIECE], where=after > ROUNDING * before)
    return UnitRows(features, subtracted, scale)
