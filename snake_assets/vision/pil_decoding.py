"""The pixels of a photo by PIL, whatever its mode."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of what PIL decoded, this much at a time is brought to RGB.
_PIECE_PIXELS = 4_000_000


def pil_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Decode what PIL opened (the first frame), as stored, and bring its mode to RGB: uint8 [H, W, 3].

    Piece by piece: at once, a photo of MAX_PIXELS takes 3 GB on its way from one mode to the next.
    """
    image.load()
    width, height = image.size
    rows = max(1, _PIECE_PIXELS // width)
    tops = range(0, height, rows)

    def piece(top: int) -> Image.Image:
        return image.crop((0, top, width, min(top + rows, height)))

    to_rgb: Callable[[Image.Image], NDArray[np.uint8]] = _rgb
    if image.mode in ("I", "F"):
        ends = [(float(values.min()), float(values.max())) for values in map(_values, map(piece, tops))]
        to_rgb = partial(_stretched, low=min(low for low, _ in ends), high=max(high for _, high in ends))
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in tops:
        pixels[top : top + rows] = to_rgb(piece(top))
    return pixels


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        return _grey_to_rgb((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _values(image: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image, dtype=np.float64))


def _stretched(image: Image.Image, low: float, high: float) -> NDArray[np.uint8]:
    stretch = 255.0 / (high - low) if high > low else 0.0
    return _grey_to_rgb(np.rint((_values(image) - low) * stretch).astype(np.uint8))


def _grey_to_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
