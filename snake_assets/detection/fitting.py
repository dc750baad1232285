"""Photos no larger than their finder makes use of."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fitted(rgb: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """A photo scaled down until its longer side has `longest_side` pixels; smaller ones as they are.

    Args:
        rgb: uint8 [H, W, 3], of any shape: a side of a thin strip keeps one pixel at least.
        longest_side: in pixels.
    """
    height, width = rgb.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
