"""The features of a photo, out of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.dct import dct_lowest
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.timing import DCT_STAGE, MODEL, DeviceClock

if TYPE_CHECKING:
    import torch


@dataclass
class PhotoFeatures:
    """Features of B photos, row i from photo i.

    Attributes:
        cls: float32 [B, D], the CLS token after the final norm; [B, n * D] where the view takes n layers.
        patch_mean: float32 [B, D], the mean of the patch tokens after the final norm.
        dct: float32 [B, 64], the lowest 8 x 8 DCT coefficients of CLS and patch tokens together, row-major.
        earlier_cls: float32 [B, D], the CLS token two layers before the last, after the final norm, if it was
            asked for.
        middle_mean: float32 [B, D], the mean of the patch tokens half way through the layers, as they are
            there, if it was asked for.
    """

    cls: NDArray[np.float32]
    patch_mean: NDArray[np.float32]
    dct: NDArray[np.float32]
    earlier_cls: NDArray[np.float32] | None = None
    middle_mean: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Launched:
    """A forward pass that a device may still be busy with.

    Attributes:
        photos: B.
        packed: the features side by side, float32 in main memory; filled when `clock` is through.
        widths: of each of them.
        clock: of the device.
        pixels: what went in; the device may still be fetching it.
    """

    photos: int
    packed: torch.Tensor
    widths: list[int]
    clock: DeviceClock
    pixels: torch.Tensor

    def features(self) -> PhotoFeatures:
        """The features, once the device is through with them."""
        self.clock.wait()
        parts = self.packed[: self.photos].split(self.widths, dim=1)  # type: ignore[no-untyped-call]
        return PhotoFeatures(*(part.numpy() for part in parts))

    def seconds(self) -> dict[str, float]:
        """How long the device worked for the model and for the DCT; to be asked after `features`."""
        return self.clock.seconds()


def launch(
    backbone: Backbone,
    pixels: torch.Tensor,
    *,
    orthonormal: bool,
    layers: bool = False,
    photos_at_least: int = 0,
) -> Launched:
    """Send a batch through the backbone; on a CUDA device this returns before it has been computed.

    The token matrices never leave the device.

    Args:
        backbone: what to look with.
        pixels: uint8 [B, h, w, 3] in main memory, photos as `backbone.preprocessing.resized` returns them.
        orthonormal: whether the DCT is scaled to an orthonormal one; the paper's is not.
        layers: whether the features of earlier layers are wanted.
        photos_at_least: smaller batches are filled up with black photos, for a model that was compiled for
            one shape; their features are left out.

    Raises:
        EmbeddingError: the device's memory does not hold what a batch needs.
    """
    import torch

    count = len(pixels)
    missing = max(0, photos_at_least - count)
    if missing:
        pixels = torch.cat([pixels, pixels.new_zeros(missing, *pixels.shape[1:])])
    clock = DeviceClock(backbone.device)
    try:
        with torch.no_grad(), clock.running():
            on_device = pixels.to(backbone.device, non_blocking=True)
            photos = backbone.preprocessing.pixel_values(on_device)
            views = [photos, photos.flip(-1)] if backbone.view.flip else [photos]
            parts = [_features(backbone, view, orthonormal, layers, clock) for view in views]
            means = [torch.stack(same).mean(dim=0) for same in zip(*parts, strict=True)]
            packed = _to_main_memory(torch.cat(means, dim=1))
            clock.mark(MODEL)
    except torch.OutOfMemoryError as error:
        raise EmbeddingError(
            f"{backbone.device} has too little memory for batches of {count} photos: lower `batch_size` in "
            f"the config of `embeddings`. ({error})"
        ) from error
    return Launched(count, packed, [part.shape[1] for part in means], clock, pixels)


def describe(
    backbone: Backbone, batch: NDArray[np.uint8], *, orthonormal: bool, layers: bool = False
) -> PhotoFeatures:
    """Compute all features of a batch, and wait for them.

    Args:
        backbone: what to look with.
        batch: uint8 [B, h, w, 3], as for `launch`.
        orthonormal: as for `launch`.
        layers: as for `launch`.

    Raises:
        EmbeddingError: as `launch`.
    """
    import torch

    return launch(backbone, torch.tensor(batch), orthonormal=orthonormal, layers=layers).features()


def _features(
    backbone: Backbone, pixel_values: torch.Tensor, orthonormal: bool, layers: bool, clock: DeviceClock
) -> list[torch.Tensor]:
    """In the order of `PhotoFeatures`."""
    seen = backbone.see(pixel_values, layers=layers)
    patch_mean = seen.tokens[:, 1:].mean(dim=1)
    clock.mark(MODEL)
    dct = dct_lowest(seen.tokens, orthonormal=orthonormal)
    clock.mark(DCT_STAGE)
    of_layers = [seen.earlier_cls, seen.middle_mean]
    return [seen.cls, patch_mean, dct, *(one for one in of_layers if one is not None)]


def _to_main_memory(values: torch.Tensor) -> torch.Tensor:
    import torch

    if values.device.type != "cuda":
        return values.cpu()
    # Into pinned memory, so that the device copies by itself and nobody waits.
    target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return target.copy_(values, non_blocking=True)
