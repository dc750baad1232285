"""The lowest 8 x 8 DCT coefficients: all at once (`dct_lowest`) against scipy photo by photo.

The paper computed the whole transform of each photo's 257 x 768 tokens with `scipy.fftpack.dctn` and kept
its corner. All arms get the same float32 tokens, scipy as numpy arrays; several batches take turns, so that
none finds its input in the processor's cache. `speedup` is against scipy in float32, as fast as it goes; in
float64, which is what tokens become where they pass through lists of Python numbers, scipy takes longer.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.fftpack import dctn

from benchmarks.common import Ratio, finish, in_turn, middle, options, significant
from snake_assets.vision.backbone.features import dct_lowest

TOKENS, WIDTH, KEPT = 257, 768, 8


def draw_tokens(batches: int, photos: int) -> list[torch.Tensor]:
    """Batches of random tokens float32 [photos, 257, 768], with a mean per dimension as real ones have."""
    generator = torch.Generator().manual_seed(1)
    means = 3 * torch.randn(WIDTH, generator=generator)
    return [torch.randn(photos, TOKENS, WIDTH, generator=generator) + means for _ in range(batches)]


def paper_dct(tokens: np.ndarray) -> np.ndarray:
    """The paper's coefficients of one photo: [257, 768] to [64]."""
    transform: Any = dctn  # untyped
    kept: np.ndarray = transform(tokens)[:KEPT, :KEPT].ravel()
    return kept


def largest_error(tokens: torch.Tensor) -> float:
    """Largest deviation from scipy in float64, in units of the root mean square of a photo's coefficients."""
    exact = np.stack([paper_dct(photo) for photo in tokens.double().numpy()])
    typical = np.sqrt((exact**2).mean(axis=1, keepdims=True))
    return float((np.abs(dct_lowest(tokens).numpy() - exact) / typical).max())


def seconds_per_photo(
    batches: Sequence[torch.Tensor], repeats: int, work: Callable[[torch.Tensor], None]
) -> float:
    """Work on `repeats` batches in turn, one after the other."""
    began = time.perf_counter()
    for batch in itertools.islice(itertools.cycle(batches), repeats):
        work(batch)
    return (time.perf_counter() - began) / (repeats * len(batches[0]))


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=15)
    parser.add_argument("--photos", type=int, default=32, help="photos in a batch")
    parser.add_argument("--batches", type=int, default=4, help="batches that take turns")
    parser.add_argument("--repeats", type=int, default=40, help="batches of ours that are timed together")
    given = parser.parse_args(arguments)
    batches = draw_tokens(given.batches, given.photos)

    def ours(batch: torch.Tensor) -> None:
        dct_lowest(batch)

    def scipys(batch: torch.Tensor) -> None:
        for photo in batch.numpy():
            paper_dct(photo)

    doubles = [batches[0].double()]
    arms: dict[str, Callable[[], float]] = {
        "ours": lambda: seconds_per_photo(batches, given.repeats, ours),
        "scipy": lambda: seconds_per_photo(batches, 1, scipys),
        "scipy in float64": lambda: seconds_per_photo(doubles, 1, scipys),
    }
    for arm in arms.values():
        arm()
    measured = in_turn(arms, given.rounds, "s per photo")
    return finish(
        {
            "ours_s_per_image": middle(measured["ours"]),
            "scipy_s_per_image": middle(measured["scipy"]),
            **Ratio.of(measured["scipy"], measured["ours"]).named("speedup"),
            **Ratio.of(measured["scipy in float64"], measured["ours"]).named("speedup_over_float64"),
            "max_relative_error": significant(largest_error(batches[0])),
            "photos": given.photos,
            "rounds": given.rounds,
            "threads": torch.get_num_threads(),
        }
    )


if __name__ == "__main__":
    main()
