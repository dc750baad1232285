"""From a decoded photo to the input of a backbone, as the backbone's own image processor does it.

The arithmetic is that of the torchvision-backed image processors of transformers, its default; from the
PIL-backed ones they differ by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.regions import Region

if TYPE_CHECKING:
    import torch


_BY_TORCH = {Image.Resampling.BICUBIC: "bicubic", Image.Resampling.BILINEAR: "bilinear"}


def resampled(rgb: NDArray[np.uint8], height: int, width: int, by: int) -> NDArray[np.uint8]:
    """Resize, averaging over as many pixels as become one: uint8 [H, W, 3] to uint8 [height, width, 3].

    Cubic and linear filters are PyTorch's, which torchvision resizes by: PIL's arithmetic in 16-bit steps on
    the processor's vector units, several times as fast and without the copy that PIL makes of a large photo.
    Few values differ from PIL's, and by rounding (`python -m benchmarks.resize`), but where one side grows
    and the other shrinks, which PIL does in another order. Other filters are PIL's.

    Args:
        rgb: the photo.
        height: wanted.
        width: wanted.
        by: PIL's number of the filter (`PIL.Image.Resampling`).
    """
    import torch

    mode = _BY_TORCH.get(Image.Resampling(by))
    if mode is None:
        return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling(by)))
    # Seen as a batch of one first: so laid out, PyTorch takes the channels as they are, side by side.
    owned = np.require(rgb, requirements=("C", "W"))  # PyTorch warns of arrays that must not be written to
    channels_first = torch.from_numpy(owned)[None].permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(channels_first, (height, width), mode=mode, antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


ResizePolicy = Literal["crop", "squash", "pad"]
POLICIES: tuple[ResizePolicy, ...] = get_args(ResizePolicy)
MAX_RESOLUTION = 518
MAX_SCALE = 4.0


@dataclass(frozen=True)
class View:
    """A way to look at photos. The default is the backbone's own.

    Attributes:
        resolution: side of the square input in pixels, a multiple of the patch size up to 518; position
            embeddings are interpolated by the model. None: the backbone's own, times `scale`.
        scale: multiplies the backbone's own side where that is a square, rounded to whole patches.
        resize: "crop" as the backbone's own preprocessing does it; "squash" the whole photo to the square;
            "pad" the whole photo, its longest side fitted, with bands of the mean colour.

    Raises:
        BackboneError: a value out of its range.
    """

    resolution: int | None = None
    scale: float = 1.0
    resize: ResizePolicy = "crop"

    def __post_init__(self) -> None:
        """Check what can be checked without a backbone."""
        if self.resize not in POLICIES:
            raise BackboneError(f"The resize policy {self.resize!r} is none of {', '.join(POLICIES)}.")
        if self.resolution is not None and not 1 <= self.resolution <= MAX_RESOLUTION:
            raise BackboneError(
                f"The resolution {self.resolution} is not within 1 to {MAX_RESOLUTION} pixels."
            )
        if not 0 < self.scale <= MAX_SCALE:
            raise BackboneError(f"The scale {self.scale} is not above 0 and at most {MAX_SCALE}.")

    def side(self, own: tuple[int, int], patch: int) -> int | None:
        """Side of the square input in pixels; None for the backbone's own input.

        Args:
            own: (height, width) of the backbone's own input.
            patch: side of a patch.
        """
        if self.resolution is not None or self.scale == 1 or own[0] != own[1]:
            return self.resolution
        side: int = max(1, round(own[0] * self.scale / patch)) * patch
        return side if side <= MAX_RESOLUTION else max(own[0], MAX_RESOLUTION // patch * patch)


# A strip of 65,535 x 1 pixels would grow to 16 million x 256 on its way to a square crop.
_LONGEST_TO_SHORTEST = 50
# Far above what any backbone sees of a photo: 50 MB each.
MOST_SIDE = 4096


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes a backbone's input: resize, then centre crop, then rescale and normalise.

    Attributes:
        resize: an int for the length of the shortest edge, aspect ratio kept; (height, width) for exactly
            that, aspect ratio ignored; None for no resizing.
        resample: PIL's number of the filter (`PIL.Image.Resampling`).
        crop: (height, width) cut out of the centre, black where the photo is smaller; None for no crop.
        pad: whether the photo, aspect ratio kept, is fitted into `resize` = (height, width) and the rest
            filled with the mean colour.
        longest: where `resize` is the shortest edge, the most that the longest may get; the shortest is then
            less.
        rounded: whether a crop's offset of half a pixel goes to the even one, as torchvision's crop does
            (timm, open_clip); transformers' goes down.
        rescale_factor: what the bytes 0..255 are multiplied with, once; 1.0 for not at all.
        mean: subtracted per channel (R, G, B) after rescaling.
        std: divided by per channel (R, G, B) after that.
    """

    resize: int | tuple[int, int] | None
    resample: int
    crop: tuple[int, int] | None
    rescale_factor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: bool = False
    longest: int | None = None
    rounded: bool = False

    def __post_init__(self) -> None:
        """Refuse what no photo can be made into."""
        for side in (*_sides(self.resize), *_sides(self.crop)):
            if not 1 <= side <= MOST_SIDE:
                raise BackboneError(f"A side of {side} pixels is asked for: it must be 1 to {MOST_SIDE}.")
        if 0.0 in self.std:
            raise BackboneError(f"Its image_std is {self.std}: pixels cannot be divided by 0.")

    def viewed(self, resolution: int | None, policy: ResizePolicy) -> Preprocessing:
        """The same for another square resolution or resize policy."""
        if resolution is None and policy == "crop":
            return self
        shortest = self.resize if self.crop is None and isinstance(self.resize, int) else None
        side = resolution or shortest or max(self.input_size)
        if policy != "crop":
            return replace(self, resize=(side, side), crop=None, pad=policy == "pad", longest=None)
        if self.crop is None or self.resize is None:
            return replace(self, resize=(side, side), crop=None, longest=None)
        # The share of the photo that the crop keeps stays what the backbone was published with.
        enlarged = side / self.crop[0]
        resize = (
            round(self.resize * enlarged)
            if isinstance(self.resize, int)
            else (round(self.resize[0] * enlarged), round(self.resize[1] * enlarged))
        )
        longest = round(self.longest * enlarged) if self.longest else None
        return replace(self, resize=resize, crop=(side, side), longest=longest)

    def rescaled_twice(self) -> Preprocessing:
        """The same with the fault of rescaling twice: what is 0..1 is divided by 255 again, then normalised.

        What a backbone sees of a photo is then nearly black, whatever the photo, and so are the bands of a
        padded one, for which the mean colour cannot be told any more.
        """
        return replace(self, rescale_factor=self.rescale_factor**2)

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) in pixels of what the backbone sees.

        Raises:
            BackboneError: it differs from photo to photo.
        """
        if self.crop is not None:
            return self.crop
        if isinstance(self.resize, tuple):
            return self.resize
        raise BackboneError(
            f"The backbone's image processor (resize {self.resize}, no centre crop) leaves photos in "
            "different shapes, so they do not fit into one batch: set resize to squash or pad in the "
            "config of `embeddings`."
        )

    @property
    def needed_side(self) -> int | None:
        """Shortest side, in pixels, that a decoded photo needs: `decode(data, at_least=...)`.

        Twice the resize target, so that at least a halving is left to the resampling filter. Against a full
        decode that moved pixels by 0.5 of 255 and CLS to a cosine of 0.9995 (means, photos of 1.8 and 7 MP);
        decoding down to the target itself, by 1.7 and to 0.996. None where nothing is resized: a smaller
        decode would then show another part of the photo.
        """
        if self.resize is None:
            return None
        return 2 * (max(self.resize) if isinstance(self.resize, tuple) else self.resize)

    def resized(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and centre-crop one photo: uint8 [H, W, 3] to uint8 [h, w, 3], (h, w) = `input_size`.

        Sizes and offsets are rounded as transformers' torchvision-backed processors do
        (`get_resize_output_image_size` and `center_crop` of its TorchvisionBackend).
        """
        if self.pad:
            return self._padded(rgb)
        if self.resize is not None:
            if isinstance(self.resize, int):
                rgb = _without_far_ends(rgb)
            height, width = self._resized_shape(*rgb.shape[:2])
            rgb = resampled(rgb, height, width, self.resample)
        return rgb if self.crop is None else _centre_crop(rgb, self.crop, round if self.rounded else int)

    def pixel_values(self, batch: torch.Tensor) -> torch.Tensor:
        """Rescale (once) and normalise, on the batch's device: uint8 [B, h, w, 3] to float32 [B, 3, h, w]."""
        import torch

        # CUDA's convolutions want a pixel's channels side by side, as photos come; others do not.
        layout = torch.channels_last if batch.device.type == "cuda" else torch.contiguous_format
        channels_first = batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=layout)
        mean, std = (_per_channel(values, batch.device) for values in (self.mean, self.std))
        return (channels_first * self.rescale_factor - mean) / std

    def as_dict(self) -> dict[str, Any]:
        """All of it in JSON types, for fingerprints and table metadata; the last two only where set."""
        later = {"longest": self.longest, "rounded": self.rounded}
        return {
            name: list(v) if isinstance(v, tuple) else v
            for name, v in asdict(self).items()
            if name not in later or later[name]
        }

    def _padded(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = self.input_size
        scale = min(height / rgb.shape[0], width / rgb.shape[1])
        fitted_height, fitted_width = (max(1, round(side * scale)) for side in rgb.shape[:2])
        canvas = np.empty((height, width, 3), dtype=np.uint8)
        canvas[:] = [min(255, round(mean / self.rescale_factor)) for mean in self.mean]
        top, left = (height - fitted_height) // 2, (width - fitted_width) // 2
        canvas[top : top + fitted_height, left : left + fitted_width] = resampled(
            rgb, fitted_height, fitted_width, self.resample
        )
        return canvas

    def _resized_shape(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.resize, tuple):
            return self.resize
        assert self.resize is not None
        shortest, exact, ratio = self.resize, float(self.resize), max(height, width) / min(height, width)
        if self.longest is not None and ratio * self.resize > self.longest:
            exact = self.longest * min(height, width) / max(height, width)
            shortest = max(1, round(exact))
        longest = int(exact * max(height, width) / min(height, width))
        return (longest, shortest) if width <= height else (shortest, longest)


@dataclass(frozen=True)
class BackboneInput:
    """Whole photos at a backbone's input size, stacked: uint8 [B, h, w, 3] in main memory.

    Where backbones beside each other want photos in other ways, each photo is decoded once, and made ready in
    every way: uint8 [B, n], the pixels for the first one, then those for the next.

    Attributes:
        preprocessing: the first way.
        beside: the others, no two alike.
    """

    preprocessing: Preprocessing
    beside: tuple[Preprocessing, ...] = field(default=(), kw_only=True)

    def prepared(self, data: bytes, region: Region) -> NDArray[np.uint8]:
        """Decode and resize one photo, whatever its region. Raises UnreadablePhoto."""
        needed = [side for way in self._ways if (side := way.needed_side) is not None]
        rgb = decode(data, at_least=max(needed) if len(needed) == len(self._ways) else None)
        return self._side_by_side([way.resized(rgb) for way in self._ways])

    def together(self, photos: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Stack what `prepared` gave."""
        import torch

        shape = (sum(map(math.prod, self._shapes)),) if self.beside else self._shapes[0]
        stacked = np.empty((len(photos), *shape), dtype=np.uint8)
        for row, photo in zip(stacked, photos, strict=True):
            row[:] = photo
        return torch.from_numpy(stacked)

    def pixel_values(self, batch: torch.Tensor) -> dict[Preprocessing, torch.Tensor]:
        """By way, its `Preprocessing.pixel_values` of a batch that `together` made, on the batch's device."""
        if not self.beside:
            return {self.preprocessing: self.preprocessing.pixel_values(batch)}
        pixels = batch.split([*map(math.prod, self._shapes)], dim=1)  # type: ignore[no-untyped-call]
        return {
            way: way.pixel_values(own.unflatten(1, shape))
            for way, own, shape in zip(self._ways, pixels, self._shapes, strict=True)
        }

    @property
    def _ways(self) -> tuple[Preprocessing, ...]:
        return (self.preprocessing, *self.beside)

    @property
    def _shapes(self) -> list[tuple[int, int, int]]:
        return [(*way.input_size, 3) for way in self._ways]

    def _side_by_side(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.concatenate([one.ravel() for one in pictures]) if self.beside else pictures[0]


@lru_cache(maxsize=32)
def _per_channel(values: tuple[float, float, float], device: torch.device) -> torch.Tensor:
    """Kept on the device: to send them along with each batch, it would be waited for."""
    import torch

    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1).to(device)


def _sides(size: int | tuple[int, int] | None) -> tuple[int, ...]:
    if size is None:
        return ()
    return size if isinstance(size, tuple) else (size,)


def _without_far_ends(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The centre of an absurdly long strip, other photos unchanged: the centre crop takes no more of it."""
    longest = _LONGEST_TO_SHORTEST * min(rgb.shape[:2])
    top, left = (max(0, (side - longest) // 2) for side in rgb.shape[:2])
    return rgb[top : top + longest, left : left + longest]


def _centre_crop(
    rgb: NDArray[np.uint8], size: tuple[int, int], whole: Callable[[float], int]
) -> NDArray[np.uint8]:
    (height, width), (photo_height, photo_width) = size, rgb.shape[:2]
    # Where the photo is smaller, an odd rest goes to the bottom and right in all libraries.
    top, left = (
        whole(rest / 2) if rest > 0 else int(rest / 2)
        for rest in (photo_height - height, photo_width - width)
    )
    kept = rgb[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
    if kept.shape[:2] == size:
        return np.ascontiguousarray(kept)
    padded = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = max(-top, 0), max(-left, 0)
    padded[top : top + kept.shape[0], left : left + kept.shape[1]] = kept
    return padded
