"""How a photo looks, in 63 bits, so that copies are known again: re-encoded, scaled, brightened, mirrored.

pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): whether each of
the lowest 8x8 frequencies of the photo, in grey and 32x32 pixels small, is above their median; the first,
which is the mean, is left out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.vision.decoding.decode import decode

SIDE, LOWEST = 32, 8
# Decoded at a quarter of its size or less, a photo is the same to 32x32 pixels.
DECODED_SIDE = 4 * SIDE
BITS = LOWEST * LOWEST - 1
# Of real photos of snakes, half the size and at JPEG quality 40 are 4 bits apart at most, a fifth brighter 8;
# photos of different snakes 8 or more, 12 or more but for one pair in 400,000.
MOST_BITS = 8
ROWS_AT_ONCE = 512


Look = tuple[NDArray[np.int8], NDArray[np.int8]]


def look_of(data: bytes) -> Look:
    """How a photo looks, and how it looks mirrored left to right: int8 [63] of -1 and 1 each.

    Raises:
        UnreadablePhoto: it cannot be decoded.
    """
    waves = _lowest_waves(data)
    straight = _bits(waves)
    # What is odd from left to right changes its sign in the mirror.
    waves[:, 1::2] *= -1
    return straight, _bits(waves)


def alike(looks: Sequence[Look], most_bits: int = MOST_BITS) -> NDArray[np.int64]:
    """Pairs of photos (i < j) that look alike, straight or mirrored: int64 [P, 2].

    Args:
        looks: of N photos.
        most_bits: by which they may differ, 0 to 63.
    """
    count = len(looks)
    both = np.array([*(look[0] for look in looks), *(look[1] for look in looks)], dtype=np.float32)
    both = both.reshape(2 * count, BITS)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, count, ROWS_AT_ONCE):
        rows = both[start : min(start + ROWS_AT_ONCE, count)]
        i, j = np.nonzero(rows @ both.T >= BITS - 2 * most_bits)
        i, j = i + start, j % count
        pairs.append(np.stack([i[i < j], j[i < j]], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _lowest_waves(data: bytes) -> NDArray[np.float64]:
    from scipy.fft import dctn

    grey = Image.fromarray(decode(data, at_least=DECODED_SIDE)).convert("L")
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    waves: NDArray[np.float64] = dctn(small, norm="ortho")[:LOWEST, :LOWEST]
    return waves


def _bits(waves: NDArray[np.float64]) -> NDArray[np.int8]:
    values = waves.ravel()[1:]
    return np.where(values > np.median(values), 1, -1).astype(np.int8)
