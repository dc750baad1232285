"""Random textures that grounds and skins are made of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# float32 wherever it is stored; the annotation also admits what mixed arithmetic yields.
Floats = NDArray[np.floating[Any]]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float]) -> Floats:
    """Float32 noise of `shape` (height, width), about -1..1, with bumps of `cell` (rows, columns) pixels."""
    rows = max(2, round(shape[0] / cell[0]) + 1)
    columns = max(2, round(shape[1] / cell[1]) + 1)
    coarse = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)


def fractal_noise(rng: np.random.Generator, shape: tuple[int, int], largest: float, octaves: int) -> Floats:
    """Float32 noise of `shape`, about -1..1, summed over `octaves` bump sizes from `largest` pixels down."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        total += 0.5**octave * smooth_noise(rng, shape, (largest / 2**octave, largest / 2**octave))
    return total / np.float32(2 - 0.5 ** (octaves - 1))


def wobble(rng: np.random.Generator, along: Floats, bumps: int) -> Floats:
    """Smooth float32 noise, about -1..1, looked up at positions `along` in 0..1 (any shape)."""
    knots = rng.uniform(-1, 1, bumps + 1).astype(np.float32)
    return np.interp(along, np.linspace(0, 1, bumps + 1), knots).astype(np.float32)
