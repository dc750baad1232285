"""Where in a photo the snake is: what finders find, and what crops are cut by."""

import hashlib
from dataclasses import dataclass

from snake_assets.storage.fingerprints import fingerprint

CROPS = "yolo_crops"


@dataclass(frozen=True)
class Region:
    """A part of a photo. Coordinates are shares of the upright photo's width and height, from its top left.

    Attributes:
        x0: left edge, 0 to 1.
        y0: top edge, 0 to 1.
        x1: right edge, 0 to 1, above `x0`.
        y1: bottom edge, 0 to 1, above `y0`.
        score: how sure the finder is, 0 to 1; 0 for the whole frame where nothing was found.
        label: what the finder says it is, in its own words; empty for the whole frame.
        mask: which pixels within the photo belong to it, as bytes (masks.py); None where only a box is known.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    label: str
    mask: bytes | None = None


WHOLE_FRAME = Region(0.0, 0.0, 1.0, 1.0, score=0.0, label="")


def region_digest(photo: str, region: Region | None) -> str:
    """What a cut photo is known by: its file's SHA-256, the box and the mask; who found it plays no part.

    Args:
        photo: SHA-256 of the file.
        region: what is cut from it; None where no finder could read the photo.
    """
    if region is None:
        return fingerprint([photo, None])
    mask = hashlib.sha256(region.mask).hexdigest() if region.mask is not None else None
    return fingerprint([photo, [region.x0, region.y0, region.x1, region.y1], mask])
