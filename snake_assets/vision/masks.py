"""Which pixels of a photo belong to the snake: as bytes for a table, and what becomes of the others."""

import io
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, PngImagePlugin

from snake_assets.vision.png import png_lacks_rows

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
