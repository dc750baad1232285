"""What all finders have in common."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region


class DetectionError(ValueError):
    """A finder, weights or boxes that cannot be used; the message says what was found, where, what to do."""


@dataclass(frozen=True)
class FinderTuning:
    """What decides which finds count, for all finders alike.

    Attributes:
        confidence: finds of a lower score are left out, 0 to 1; None: the finder's own (YOLO 0.25, OWL 0.1).
            With a prompter it is the prompter's.
        iou: of finds that overlap by more than this, the best is kept, 0 to 1.
        image_size: the longer side that YOLO scales photos to, pixels, a multiple of 32; None: that of its
            training. OWL and SAM take photos at that of theirs alone.
        classes: which of YOLO's classes make a crop; none: see `YoloFinder`.
        queries: what OWL is to look for, in words.
        most: finds per photo, at most.
    """

    confidence: float | None = None
    iou: float = 0.7
    image_size: int | None = None
    classes: tuple[str, ...] = ()
    queries: tuple[str, ...] = ("a photo of a snake",)
    most: int = 10

    def __post_init__(self) -> None:
        if not self.queries or not all(query.strip() for query in self.queries):
            raise DetectionError("There is no query, or one without words: say what OWL is to look for.")


class LazyModel:
    """A dataclass whose model goes to no other process: there it is loaded anew, at first use."""

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]


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
