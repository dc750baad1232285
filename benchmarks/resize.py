"""A photo brought to a backbone's size: `resampled` (PyTorch) against PIL, pixels in and pixels out.

Both arms get the same decoded photos, on one thread, by the cubic filter, the shortest edge to 256 pixels as
DINOv2 wants it. `speedup` is PIL's time over ours; `differing` is the share of values that differ at all, and
`largest_difference` the most that one does, of 255.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import (
    SNAKE_BOXES,
    Ratio,
    add_photo_options,
    finish,
    in_turn,
    middle,
    options,
    photo_sources,
    significant,
)
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.preprocessing.transforms import resampled

SHORTEST_EDGE, FILTER = 256, Image.Resampling.BICUBIC
Pixels = NDArray[np.uint8]
Resize = Callable[[Pixels, int, int], Pixels]


def ours(rgb: Pixels, height: int, width: int) -> Pixels:
    """As the embedding pass does it."""
    return resampled(rgb, height, width, FILTER)


def pils(rgb: Pixels, height: int, width: int) -> Pixels:
    """As the processors of transformers that are backed by PIL do it."""
    return np.array(Image.fromarray(rgb).resize((width, height), FILTER))


def wanted(rgb: Pixels) -> tuple[int, int]:
    """(height, width) of a photo whose shortest edge has 256 pixels."""
    height, width = rgb.shape[:2]
    scale = SHORTEST_EDGE / min(height, width)
    return int(height * scale), int(width * scale)


def ms_per_photo(photos: Sequence[Pixels], resize: Resize) -> float:
    """Milliseconds that a photo takes."""
    began = time.perf_counter()
    for photo in photos:
        resize(photo, *wanted(photo))
    return 1e3 * (time.perf_counter() - began) / len(photos)


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=9)
    add_photo_options(parser)
    parser.add_argument("--photos", type=int, default=64, help="photos of each arm")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        sources = photo_sources(given.sources, [SNAKE_BOXES], Path(folder))
        photos = [decode(file.read_bytes()) for file in sources.files[: given.photos]]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for arm in (ours, pils):
            ms_per_photo(photos[:2], arm)
        measured = in_turn(
            {"ours": lambda: ms_per_photo(photos, ours), "pil": lambda: ms_per_photo(photos, pils)},
            given.rounds,
            "ms per photo",
        )
        differences = [
            np.abs(ours(photo, *wanted(photo)).astype(int) - pils(photo, *wanted(photo))) for photo in photos
        ]
    finally:
        torch.set_num_threads(threads)
    return finish(
        {
            "ours_ms": middle(measured["ours"]),
            "pil_ms": middle(measured["pil"]),
            **Ratio.of(measured["pil"], measured["ours"]).named("speedup"),
            "differing": significant(float(np.mean([(one > 0).mean() for one in differences]))),
            "largest_difference": int(max(one.max() for one in differences)),
            "photos": sources.origin,
            "photo_count": len(photos),
            "rounds": given.rounds,
        }
    )


if __name__ == "__main__":
    main()
