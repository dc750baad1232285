"""Of all that a finder found in a photo, what the table of crops keeps."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from snake_assets.vision.regions import WHOLE_FRAME, Region


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
