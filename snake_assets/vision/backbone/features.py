"""The features of photos out of one forward pass: CLS, means of patch tokens, the lowest DCT coefficients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.tokens import DCT_KEPT
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.inference.runner import MODEL

if TYPE_CHECKING:
    import torch

DCT_STAGE = "DCT"


@dataclass
class PhotoFeatures:
    """Features of B photos, row i from photo i; of several backbones, each one's behind those before.

    Attributes:
        cls: float32 [B, D], `Seen.embedding`: the CLS token after the final norm, where there is one.
        patch_mean: float32 [B, D], the mean of the patch tokens after the final norm.
        dct: float32 [B, 64], the lowest 8 x 8 DCT coefficients of CLS and patch tokens together, row-major;
            [B, 0] where they have no grid.
        earlier_cls: float32 [B, D], the CLS token two layers before the last, after the final norm (`Seen`).
        middle_mean: float32 [B, D], the mean of the patch tokens half way through the layers, as they are
            there.
    """

    cls: NDArray[np.float32]
    patch_mean: NDArray[np.float32]
    dct: NDArray[np.float32]
    earlier_cls: NDArray[np.float32]
    middle_mean: NDArray[np.float32]


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


def launch(backbone: Backbone, pixels: torch.Tensor, *, photos_at_least: int = 0) -> Launched:
    """Send a batch through the backbone; on a CUDA device this returns before it has been computed.

    The token matrices never leave the device. Backbones beside each other see the batch one after the other.

    Args:
        backbone: what to look with.
        pixels: uint8 in main memory, photos as `backbone.input` makes them ready.
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
            values = backbone.input.pixel_values(pixels.to(backbone.device, non_blocking=True))
            by_part = []
            for part in backbone.parts:
                seen = part.see(values[part.preprocessing])
                clock.mark(MODEL)
                dct = dct_lowest(seen.tokens) if part.layout.has_dct else seen.embedding[:, :0]
                clock.mark(DCT_STAGE)
                # In the order of `PhotoFeatures`.
                by_part.append([seen.embedding, seen.patch_mean, dct, seen.earlier_cls, seen.middle_mean])
            blocks = list(zip(*by_part, strict=True))
            packed = _to_main_memory(torch.cat([one for block in blocks for one in block], dim=1))
            clock.mark(MODEL)
    except torch.OutOfMemoryError as error:
        raise EmbeddingError(
            f"{backbone.device} has too little memory for batches of {count} photos: lower `batch_size` in "
            f"the config of `embeddings`. ({error})"
        ) from error
    widths = [sum(one.shape[1] for one in block) for block in blocks]
    return Launched(count, packed, widths, clock, pixels)


def _to_main_memory(values: torch.Tensor) -> torch.Tensor:
    import torch

    if values.device.type != "cuda":
        return values.cpu()
    # Into pinned memory, so that the device copies by itself and nobody waits.
    target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return target.copy_(values, non_blocking=True)


class DeviceClock:
    """Marks moments in the work of one device: CUDA events there, the processor's clock elsewhere."""

    def __init__(self, device: str) -> None:
        """For work that is sent to `device` ("cpu", "cuda:0", ...)."""
        self._device, self._on_its_own = device, device.startswith("cuda")
        self._moments: list[Any] = []
        self._stages: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send work to the device inside; the first stage begins here."""
        import torch

        with torch.cuda.device(self._device) if self._on_its_own else nullcontext():
            self._moments.append(self._now())
            yield

    def mark(self, stage: str) -> None:
        """What was sent since the last mark belongs to `stage`."""
        self._stages.append(stage)
        self._moments.append(self._now())

    def wait(self) -> None:
        """Return when the device has reached the last mark."""
        if self._on_its_own:
            self._moments[-1].synchronize()

    def seconds(self) -> dict[str, float]:
        """Seconds by stage; only after `wait`."""
        total = dict.fromkeys(self._stages, 0.0)
        for stage, (start, end) in zip(self._stages, pairwise(self._moments), strict=True):
            total[stage] += start.elapsed_time(end) / 1000 if self._on_its_own else end - start
        return total

    def _now(self) -> Any:
        import torch

        if not self._on_its_own:
            return perf_counter()
        moment = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        moment.record()
        return moment


def dct_lowest(tokens: torch.Tensor, keep: int = DCT_KEPT) -> torch.Tensor:
    """Lowest `keep` x `keep` coefficients of the 2-D type-II DCT of each token matrix.

    With N_1 = T tokens and N_2 = D dimensions, for k, l < keep:

        y[k, l] = 4 sum_n sum_m x[n, m] cos(pi k (2n + 1) / (2 T)) cos(pi l (2m + 1) / (2 D))

    This is `scipy.fft.dctn(x, type=2)[:keep, :keep]`; formula from SciPy's documentation of scipy.fft.dct,
    after Makhoul, "A Fast Cosine Transform in One and Two Dimensions", IEEE Transactions on Acoustics, Speech
    and Signal Processing 28(1), 1980. The paper (DS@GT, CLEF 2024) keeps 8 x 8 of the un-normalised transform
    over the whole matrix, CLS row included.

    Only the kept coefficients are computed, as two thin matrix products per photo: along the width in
    float32, which reads the tokens once and as they are; along the tokens, where little is left to do, in
    float64 where the device has it, because a coefficient near zero is a difference of large sums.

    Args:
        tokens: floating point [B, T, D].
        keep: how many frequencies per axis.

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
    along_tokens = _cosines(count, keep, tokens.device, precision)
    along_width = _cosines(width, keep, tokens.device, torch.float32)
    # One product per photo, cosines on the left: as one tall product for the batch (`linear`, or `@`, which
    # makes it one) the BLAS libraries of processors take up to twice as long.
    thin = torch.bmm(along_width.expand(photos, keep, width), tokens.float().transpose(1, 2))
    return (along_tokens @ thin.transpose(1, 2).to(precision)).flatten(1).float()


def orthonormal_factors(count: int, width: int, keep: int = DCT_KEPT) -> NDArray[np.float32]:
    """What the coefficients of `dct_lowest` are multiplied by to be those of the orthonormal transform.

    Args:
        count: tokens of the matrix, T.
        width: its dimensions, D.
        keep: frequencies per axis.

    Returns:
        f_T(k) f_D(l), float32 [keep * keep], row-major; f_N(0) = sqrt(1 / 4N), else f_N(k) = sqrt(1 / 2N).
    """
    along_tokens, along_width = (
        np.where(np.arange(keep) == 0, math.sqrt(1 / (4 * length)), math.sqrt(1 / (2 * length)))
        for length in (count, width)
    )
    return np.outer(along_tokens, along_width).ravel().astype(np.float32)


@lru_cache(maxsize=32)
def _cosines(length: int, keep: int, device: torch.device, precision: torch.dtype) -> torch.Tensor:
    """The first `keep` rows of the type-II DCT matrix, [keep, length], computed in float64.

    Kept where they are needed: to send them along with each batch, a CUDA device would be waited for.
    """
    import torch

    # Made outside any inference mode that the first caller may be in, else no later caller could
    # differentiate.
    with torch.inference_mode(False):
        frequency = torch.arange(keep, dtype=torch.float64)[:, None]
        position = 2 * torch.arange(length, dtype=torch.float64) + 1
        return (2 * torch.cos(math.pi / (2 * length) * frequency * position)).to(device, precision)
