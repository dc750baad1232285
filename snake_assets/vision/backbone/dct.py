"""The lowest frequencies of a token matrix: the paper's 64-number summary of a photo."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def dct_lowest(tokens: torch.Tensor, keep: int = 8, *, orthonormal: bool = False) -> torch.Tensor:
    """Lowest `keep` x `keep` coefficients of the 2-D type-II DCT of each token matrix.

    With N_1 = T tokens and N_2 = D dimensions, for k, l < keep:

        y[k, l] = 4 sum_n sum_m x[n, m] cos(pi k (2n + 1) / (2 T)) cos(pi l (2m + 1) / (2 D))

    Orthonormal scales y[k, l] by f_T(k) f_D(l), where f_N(0) = sqrt(1 / 4N) and f_N(k) = sqrt(1 / 2N)
    otherwise. This is `scipy.fft.dctn(x, type=2)[:keep, :keep]` with norm=None or norm="ortho"; formula from
    SciPy's documentation of scipy.fft.dct, after Makhoul, "A Fast Cosine Transform in One and Two
    Dimensions", IEEE Transactions on Acoustics, Speech and Signal Processing 28(1), 1980. The paper (DS@GT,
    CLEF 2024) keeps 8 x 8 of the un-normalised transform over the whole matrix, CLS row included.

    Only the kept coefficients are computed, as two thin matrix products per photo: along the width in
    float32, which reads the tokens once and as they are; along the tokens, where little is left to do, in
    float64 where the device has it, because a coefficient near zero is a difference of large sums.

    Args:
        tokens: floating point [B, T, D].
        keep: how many frequencies per axis.
        orthonormal: whether to scale the transform to an orthonormal one.

    Returns:
        float32 [B, keep * keep], row-major: the frequency along the tokens changes slowest.

    Raises:
        ValueError: `keep` is below 1 or more than T or D.
    """
    import torch

    photos, count, width = tokens.shape
    if not 1 <= keep <= min(count, width):
        raise ValueError(f"{keep} frequencies per axis cannot be kept of a {count} x {width} token matrix.")
    precision = torch.float32 if tokens.device.type == "mps" else torch.float64
    along_tokens = _cosines(count, keep, orthonormal, tokens.device, precision)
    along_width = _cosines(width, keep, orthonormal, tokens.device, torch.float32)
    # One product per photo, cosines on the left: as one tall product for the batch (`linear`, or `@`, which
    # makes it one) the BLAS libraries of processors take up to twice as long.
    thin = torch.bmm(along_width.expand(photos, keep, width), tokens.float().transpose(1, 2))
    return (along_tokens @ thin.transpose(1, 2).to(precision)).flatten(1).float()


def orthonormal_factors(count: int, width: int, keep: int = 8) -> NDArray[np.float32]:
    """What the un-normalised coefficients of `dct_lowest` are multiplied by to be the orthonormal ones.

    Args:
        count: tokens of the matrix, T.
        width: its dimensions, D.
        keep: frequencies per axis.

    Returns:
        f_T(k) f_D(l), float32 [keep * keep], row-major.
    """
    along_tokens, along_width = (
        np.where(np.arange(keep) == 0, math.sqrt(1 / (4 * length)), math.sqrt(1 / (2 * length)))
        for length in (count, width)
    )
    return np.outer(along_tokens, along_width).ravel().astype(np.float32)


@lru_cache(maxsize=32)
def _cosines(
    length: int, keep: int, orthonormal: bool, device: torch.device, precision: torch.dtype
) -> torch.Tensor:
    """The first `keep` rows of the type-II DCT matrix, [keep, length], computed in float64.

    Kept where they are needed: to send them along with each batch, a CUDA device would be waited for.
    """
    import torch

    # Made outside any inference mode that the first caller may be in, else no later caller could
    # differentiate.
    with torch.inference_mode(False):
        frequency = torch.arange(keep, dtype=torch.float64)[:, None]
        position = 2 * torch.arange(length, dtype=torch.float64) + 1
        basis = 2 * torch.cos(math.pi / (2 * length) * frequency * position)
        if orthonormal:
            basis *= math.sqrt(1 / (2 * length))
            basis[0] *= math.sqrt(1 / 2)
        return basis.to(device, precision)
