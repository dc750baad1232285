"""What all finders have in common."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region

# Of all that a finder found in a photo, what the table of crops keeps.


@dataclass(frozen=True)
class BestFind:
    """The find with the highest score, or the whole frame; and how many finds there were."""

    region: Region
    finds: int


def best_find(found: Iterable[Region]) -> BestFind:
    """The best of what was found, within the frame.

    Boxes that reach beyond the frame are cut to it. What then has no area, or no score or side that is a
    number, is no find. Of equal scores the first counts.
    """
    finds = [region for region in map(within_frame, found) if region is not None]
    return BestFind(max(finds, key=lambda region: region.score, default=WHOLE_FRAME), len(finds))


def within_frame(region: Region) -> Region | None:
    """The find, cut to the frame; None where nothing is left of it, or a side or the score is no number."""
    sides = (region.x0, region.y0, region.x1, region.y1)
    if not all(map(math.isfinite, (*sides, region.score))):
        return None
    # As precise as the table: a box must still have an area there.
    x0, y0, x1, y1, score = np.clip([*sides, region.score], 0, 1).astype(np.float32).tolist()
    if x0 >= x1 or y0 >= y1:
        return None
    return replace(region, x0=x0, y0=y0, x1=x1, y1=y1, score=score)


# Photos no larger than their finder makes use of.


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
