"""The pixels of a photo: of a JPEG by libjpeg-turbo, of all else by PIL, whatever its mode.

A JPEG that is odd but whole is let through.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from snake_assets.vision.decoding.containers import (
    MAX_PIXELS,
    jpeg_is_cut,
    jpeg_lacks_a_segment,
    jpeg_scans,
    refuse_too_large,
)
from snake_assets.vision.errors import UnreadablePhoto

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


# A progressive photo has ten scans or so. 400 kB can hold thousands, each of which takes as long as a photo.
MAX_SCANNED_PIXELS = 10 * MAX_PIXELS
_PIXELS_A_SCAN_IS_WORTH = 10_000

# libjpeg's words for "the data ended and I invented the rest", the second where the cut met a restart marker.
_CUT_JPEG = ("premature end", "found marker 0xd9 instead of rst")

# What libjpeg paints where it has no data: DCT coefficients of zero.
_MISSING_GREY = 128

_JPEG_SCALES = (8, 4, 2)


def jpeg_pixels(data: bytes, image: Image.Image, at_least: int | None) -> NDArray[np.uint8]:
    """Decode without the GIL, as stored; by PIL what simplejpeg refuses for its colours.

    Args:
        data: the file's bytes.
        image: the same, opened by PIL.
        at_least: as for `decode`.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UnreadablePhoto: the data runs out, or goes over the picture too often.
        Exception: whatever PIL raises on damaged bytes.
    """
    _refuse_too_many_scans(data, *image.size)
    if image.mode == "CMYK":
        # PIL knows the inverted CMYK of Adobe, but not that data ran out: let the strict decoder pass over it
        # first.
        _strict_jpeg(data, "CMYK", at_least=1)
        return pil_pixels(image)
    pixels = _strict_jpeg(data, "RGB", at_least)
    if pixels is not None:
        return pixels
    # libjpeg found something odd and reports only the first oddity, behind which the data may still have run
    # out.
    if jpeg_is_cut(data) or jpeg_lacks_a_segment(data):
        raise UnreadablePhoto("truncated", "The JPEG data ends before the picture does.")
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=False)
    except ValueError:
        pixels = pil_pixels(image)
    if (pixels[-8:, -8:] == _MISSING_GREY).all():
        raise UnreadablePhoto("truncated", "The JPEG data is damaged and the end of the picture is missing.")
    return pixels


def _strict_jpeg(data: bytes, colours: str, at_least: int | None) -> NDArray[np.uint8] | None:
    """Decode, smaller where `at_least` allows; None where libjpeg complains of anything but a cut."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        # Asked again: on damaged files PIL and libjpeg may read different sizes.
        refuse_too_large(int(width), int(height))
        scale = _jpeg_scale(int(height), int(width), at_least)
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colours,
            min_height=int(height) // scale,
            min_width=int(width) // scale,
        )
        return pixels
    except ValueError as error:
        if any(words in str(error).lower() for words in _CUT_JPEG):
            raise UnreadablePhoto(
                "truncated", f"The JPEG data ends before the picture does: {error}"
            ) from error
        return None


def _jpeg_scale(height: int, width: int, at_least: int | None) -> int:
    """The largest divisor to decode by.

    Only divisors without a rest: libjpeg rounds sizes up, which would stretch the picture by a part of a
    pixel, and that moves an embedding ten times as far as the scaling itself (measured: cosine 0.994 against
    0.9995).
    """
    if at_least is None:
        return 1
    fitting = (
        s for s in _JPEG_SCALES if height % s == width % s == 0 and min(height, width) // s >= at_least
    )
    return next(fitting, 1)


def _refuse_too_many_scans(data: bytes, width: int, height: int) -> None:
    if jpeg_scans(data) * (width * height + _PIXELS_A_SCAN_IS_WORTH) > MAX_SCANNED_PIXELS:
        raise UnreadablePhoto(
            "too_large",
            f"The JPEG data goes over {width} x {height} pixels more often than any photo's does.",
        )
