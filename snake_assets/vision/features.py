"""The three features of a photo, out of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.backbone import Backbone
from snake_assets.vision.dct import dct_lowest

if TYPE_CHECKING:
    import torch


@dataclass
class PhotoFeatures:
    """Features of B photos, row i from photo i.

    Attributes:
        cls: float32 [B, D], the CLS token after the final norm; [B, n * D] where the view takes n layers.
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

    photos = backbone.preprocessing.pixel_values(torch.tensor(batch, device=backbone.device))
    seen = [photos, photos.flip(-1)] if backbone.view.flip else [photos]
    parts = [_features(backbone, pixels, orthonormal) for pixels in seen]
    cls, patch_mean, dct = (torch.stack(part).mean(dim=0).cpu().numpy() for part in zip(*parts, strict=True))
    return PhotoFeatures(cls, patch_mean, dct)


def _features(
    backbone: Backbone, pixel_values: torch.Tensor, orthonormal: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens, cls = backbone.tokens_and_cls(pixel_values)
    return cls, tokens[:, 1:].mean(dim=1), dct_lowest(tokens, orthonormal=orthonormal)
