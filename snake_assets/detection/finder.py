"""What all finders have in common."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.regions import Region


class Finder(Protocol):
    """Finds snakes in photos."""

    @property
    def device(self) -> str:
        """What it runs on, such as "cpu" or "cuda"."""

    @property
    def longest_side(self) -> int:
        """Pixels of a photo's longer side that it makes use of: larger ones may be scaled down first."""

    @property
    def warning(self) -> str | None:
        """What is wrong with its model although it can be used; None where nothing is."""

    def fingerprint_parts(self) -> Mapping[str, Json]:
        """All that decides what is found besides the photos, in JSON types."""

    def find(self, photos: Sequence[NDArray[np.uint8]]) -> list[list[Region]]:
        """What is found in each of B photos, best first; an empty list where nothing is.

        Args:
            photos: uint8 [H, W, 3] RGB each, upright, of any sizes.

        Raises:
            DetectionError: the model fails, or memory does not suffice.
        """
