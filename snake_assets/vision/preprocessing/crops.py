"""Crops: the part of a photo around the snake, cut while the photo is decoded and stored nowhere.

And masks: which pixels of a photo belong to the snake, as bytes for a table, and what becomes of the others.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, PngImagePlugin

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.decoding.containers import png_lacks_rows
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.preprocessing.regions import Region
from snake_assets.vision.preprocessing.transforms import BackboneInput, Preprocessing

Background = Literal["keep", "grey", "blur"]
BACKGROUNDS: tuple[Background, ...] = get_args(Background)

# SAM sees no finer, and photos are scaled down to it first: a mask has 131 kB at most, whatever its photo.
MOST_PIXELS_A_SIDE = 1024
GREY = 127
# Radius of the blur as a share of the longer side: shapes go, colours stay.
BLUR = 0.03


class MaskError(ValueError):
    """Bytes that are no mask, or a mask that cannot be kept; the message says which and why."""


def mask_to_bytes(mask: NDArray[np.bool_]) -> bytes:
    """A mask as a PNG file of one bit a pixel; `mask_from_bytes` gives it back as it was.

    Args:
        mask: bool [h, w], both 1 to 1024, on a grid of its own over the upright photo.

    Raises:
        MaskError: it has no pixel, or more than 1024 a side.
    """
    if mask.ndim != 2 or not all(1 <= side <= MOST_PIXELS_A_SIDE for side in mask.shape):
        raise MaskError(f"A mask of shape {mask.shape} is not kept: sides are 1 to {MOST_PIXELS_A_SIDE}.")
    encoded = io.BytesIO()
    Image.fromarray(mask).save(encoded, "PNG", optimize=True)
    return encoded.getvalue()


def mask_from_bytes(data: bytes) -> NDArray[np.bool_]:
    """The mask, bool [h, w], that `mask_to_bytes` made bytes of.

    Raises:
        MaskError: the bytes are cut, changed, or never were a mask.
    """
    formats = (PngImagePlugin.PngImageFile.format,)
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            if image.mode != "1" or max(image.size) > MOST_PIXELS_A_SIDE:
                raise MaskError(f"a picture of mode {image.mode} and {image.size} pixels")
            image.verify()  # the checksums of all parts; afterwards the file is to be opened again
        if png_lacks_rows(data):
            raise MaskError("rows are missing")
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return np.array(image, dtype=np.bool_)
    except Exception as error:  # PIL's parsers raise nearly anything on damaged bytes
        raise MaskError(
            f"The {len(data)} bytes of a mask cannot be read ({error}): remove the table they are from and "
            "materialize it again."
        ) from error


def without_background(rgb: NDArray[np.uint8], mask: NDArray[np.bool_], how: Background) -> NDArray[np.uint8]:
    """A photo with the pixels outside its mask kept, made grey, or blurred; a new array unless kept.

    Args:
        rgb: uint8 [H, W, 3].
        mask: bool [h, w] over the same part of the photo, on any grid; the nearest of its pixels counts.
        how: "keep" as they are, "grey" all of one middle grey, "blur" so that only colours are left.
    """
    if how == "keep":
        return rgb
    height, width = rgb.shape[:2]
    fitted = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    if how == "grey":
        return np.where(fitted[..., None], rgb, np.uint8(GREY))
    blurred = Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(BLUR * max(height, width)))
    return np.where(fitted[..., None], rgb, np.asarray(blurred))


MAX_MARGIN, MAX_LEAST_SIDE = 4.0, 1024


@dataclass(frozen=True)
class CropSettings:
    """How crops are cut. All of it is part of the tables' recipe.

    Attributes:
        margin: kept around the box on each side, as a share of its longer side, 0 to 4.
        background: what becomes of the pixels outside a mask, where the finder gives one.
        least_side: side of the smallest window in pixels of the full-size photo, 1 to 1,024: a box of a few
            pixels is shown with its surroundings instead of as one blur.

    Raises:
        EmbeddingError: a value out of its range.
    """

    margin: float = 0.15
    background: Background = "keep"
    least_side: int = 64

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.margin <= MAX_MARGIN:
            raise EmbeddingError(f"The margin {self.margin} is not within 0 to {MAX_MARGIN:g}.")
        if self.background not in BACKGROUNDS:
            raise EmbeddingError(f"The background {self.background!r} is none of {', '.join(BACKGROUNDS)}.")
        if not 1 <= self.least_side <= MAX_LEAST_SIDE:
            raise EmbeddingError(f"least_side is {self.least_side}, not within 1 to {MAX_LEAST_SIDE:,}.")

    def as_dict(self) -> dict[str, Json]:
        """All of it in JSON types, for the recipe."""
        return {"margin": self.margin, "background": self.background, "least_side": self.least_side}


@dataclass(frozen=True)
class Window:
    """A part of a photo in whole pixels, inside the frame and at least one pixel large."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a photo, uint8 [H, W, 3] to uint8 [height, width, 3]; a view, not a copy."""
        return rgb[self.top : self.top + self.height, self.left : self.left + self.width]

    def cut_mask(self, mask: NDArray[np.bool_], frame: tuple[int, int]) -> NDArray[np.bool_]:
        """The part of a mask on a grid of its own over the frame of [H, W] pixels: bool [height, width]."""
        rows = (self.top + np.arange(self.height) + 0.5) * mask.shape[0] / frame[0]
        columns = (self.left + np.arange(self.width) + 0.5) * mask.shape[1] / frame[1]
        cut: NDArray[np.bool_] = mask[np.ix_(rows.astype(np.int64), columns.astype(np.int64))]
        return cut


def window_around(region: Region, frame: tuple[int, int], settings: CropSettings) -> Window:
    """The square around a box with its margin, moved into the frame; clipped where the frame is too narrow.

    Args:
        region: with the box.
        frame: (height, width) of the upright photo in pixels, both 1 or more.
        settings: margin and least side.
    """
    height, width = frame
    longer = max((region.x1 - region.x0) * width, (region.y1 - region.y0) * height)
    side = max(round(longer * (1 + 2 * settings.margin)), settings.least_side)
    top, rows = _within((region.y0 + region.y1) / 2 * height, side, height)
    left, columns = _within((region.x0 + region.x1) / 2 * width, side, width)
    return Window(top, left, rows, columns)


@dataclass(frozen=True)
class CropInput(BackboneInput):
    """Crops at a backbone's input size, stacked as whole photos are.

    The square window is resized to the whole input: a centre crop, with which many backbones were
    published, would cut the snake's ends off, and the margin is cut here already. Where a window is no
    square because the frame is too narrow for one, it is fitted in with bands of the mean colour; unless the
    whole photos are squashed, then so is it. A region that is the whole frame, as where nothing was found, is
    seen just as the whole photo is.
    """

    settings: CropSettings

    def prepared(self, data: bytes, region: Region) -> NDArray[np.uint8]:
        """Decode a photo, cut its region and resize that. Raises UnreadablePhoto.

        Raises:
            MaskError: the region's mask is damaged.
        """
        masked = region.mask is not None and self.settings.background != "keep"
        if (region.x0, region.y0, region.x1, region.y1) == (0, 0, 1, 1) and not masked:
            return super().prepared(data, region)
        rgb = decode(data, at_least=self._shortest_side(region))
        window = window_around(region, rgb.shape[:2], self.settings)
        cut = window.cut(rgb)
        if region.mask is not None and masked:
            mask = window.cut_mask(mask_from_bytes(region.mask), rgb.shape[:2])
            cut = without_background(cut, mask, self.settings.background)
        cut = np.ascontiguousarray(cut)
        return self._side_by_side([_fitting(way).resized(cut) for way in self._ways])

    def _shortest_side(self, region: Region) -> int:
        # Of the frame, so that its window keeps what a whole photo would (`needed_side`). The window is at
        # least as large as if its longer side lay along the frame's shorter one.
        needed = max(2 * max(max(way.input_size) for way in self._ways), self.settings.least_side)
        share = max(region.x1 - region.x0, region.y1 - region.y0) * (1 + 2 * self.settings.margin)
        return math.ceil(needed / min(1.0, share))


def _fitting(own: Preprocessing) -> Preprocessing:
    squashed = own.crop is None and not own.pad
    return replace(own, resize=own.input_size, crop=None, pad=not squashed)


def _within(centre: float, side: int, length: int) -> tuple[int, int]:
    """Start and length of an interval around a centre, moved into 0 to `length`, or clipped to it."""
    side = min(side, length)
    return min(max(0, round(centre - side / 2)), length - side), side
