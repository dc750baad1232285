"""The three features of a photo, out of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.backbone import Backbone
from snake_assets.vision.dct import dct_lowest


@dataclass
class PhotoFeatures:
    """Features of B photos, row i from photo i.

    Attributes:
        cls: float32 [B, D], the CLS token after the final norm.
        patch_mean: float32 [B, D], the mean of the patch tokens after the final norm.
        dct: float32 [B, 64], the lowest 8 x 8 DCT coefficients of CLS and patch tokens together, row-major.
    """

    cls: NDArray[np.float32]
    patch_mean: NDArray[np.float32]
    dct: NDArray[np.float32]


def describe(backbone: Backbone, batch: NDArray[np.uint8], *, orthonormal: bool) -> PhotoFeatures:
    """Compute all three features of a batch; the token matrix itself never leaves the device.

    Args:
        backbone: what to look with.
        batch: uint8 [B, h, w, 3], photos as `backbone.preprocessing.resized` returns them, stacked.
        orthonormal: whether the DCT is scaled to an orthonormal one; the paper's is not.
    """
    import torch

    photos = torch.tensor(batch, device=backbone.device)
    tokens = backbone.tokens(backbone.preprocessing.pixel_values(photos))
    return PhotoFeatures(
        cls=tokens[:, 0].cpu().numpy(),
        patch_mean=tokens[:, 1:].mean(dim=1).cpu().numpy(),
        dct=dct_lowest(tokens, orthonormal=orthonormal).cpu().numpy(),
    )
