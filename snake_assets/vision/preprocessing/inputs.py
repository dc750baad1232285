"""What becomes of a photo between the table and a model: decoded, and as large as the model wants it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region
from snake_assets.vision.preprocessing.transforms import Preprocessing
from snake_assets.vision.room import Take, unbounded

if TYPE_CHECKING:
    import torch

Pixels_co = TypeVar("Pixels_co", covariant=True)


@dataclass(frozen=True)
class Prepared:
    """A photo's pixels, uint8 [h, w, 3], and the seconds that decoding and resizing took."""

    pixels: NDArray[np.uint8]
    decoding: float
    resizing: float


class Preparation(Protocol[Pixels_co]):
    """How photos are made ready for a model. It goes to other processes, and is asked by several threads."""

    def prepared(self, data: bytes, region: Region, take: Take) -> Prepared:
        """One photo, or the part of it that is wanted, from its file's bytes. Raises UnreadablePhoto.

        `take` is told how much memory that takes, as `decode` tells it.
        """

    def together(self, photos: Sequence[NDArray[np.uint8]]) -> Pixels_co:
        """The pixels of a batch, which may be empty, as the model takes them."""


@dataclass(frozen=True)
class BackboneInput:
    """Whole photos at a backbone's input size, stacked: uint8 [B, h, w, 3] in main memory."""

    preprocessing: Preprocessing

    def prepared(self, data: bytes, region: Region = WHOLE_FRAME, take: Take = unbounded) -> Prepared:
        """Decode and resize one photo, whatever its region. Raises UnreadablePhoto."""
        return timed(data, self.preprocessing.needed_side, self.preprocessing.resized, take)

    def together(self, photos: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Stack what `prepared` gave."""
        import torch

        stacked = np.empty((len(photos), *self.preprocessing.input_size, 3), dtype=np.uint8)
        for row, photo in zip(stacked, photos, strict=True):
            row[:] = photo
        return torch.from_numpy(stacked)


def timed(
    data: bytes,
    at_least: int | None,
    resized: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    take: Take = unbounded,
) -> Prepared:
    """Decode a photo, resize it, and take the time of both. Raises UnreadablePhoto.

    Args:
        data: the file's bytes.
        at_least: as for `decode`.
        resized: makes the photo as large as it is wanted.
        take: as for `decode`.
    """
    began = time.perf_counter()
    photo = decode(data, at_least=at_least)
    decoded = time.perf_counter()
    return Prepared(resized(photo), decoded - began, time.perf_counter() - decoded)
