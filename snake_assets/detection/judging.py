"""How good a finder is on photos with boxes that a person drew."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snake_assets.detection.box_files import BoxedPhoto, pixels_of
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.base import Finder
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import Weights
from snake_assets.detection.matching import Curve, average_precision, curve, right_finds
from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import Region

# Counts as an input: raise it when the same finds would get other scores.
JUDGING_VERSION = 1
PHOTOS_AT_ONCE = 16
# What `yolo val` of ultralytics 8.4 judges by.
CONFIDENCE, IOU, MOST_FINDS = 0.001, 0.7, 300


@dataclass(frozen=True, eq=False)
class JudgedPhoto:
    """A photo, what was found in it (best first), and which finds are right: bool [N, 10]."""

    photo: BoxedPhoto
    finds: Sequence[Region]
    right: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a finder found in photos with boxes; any find counts as a snake, whatever it is called."""

    photos: Sequence[JudgedPhoto]

    @property
    def boxes(self) -> int:
        """Boxes in all photos."""
        return sum(len(judged.photo.boxes) for judged in self.photos)

    @cached_property
    def precisions(self) -> NDArray[np.float64]:
        """Average precision at overlaps from 0.5 to 0.95, float64 [10]."""
        return average_precision(*self._finds(), self.boxes)

    @property
    def map50(self) -> float:
        """mAP50, 0 to 1. With one class, the mean over classes is that class's."""
        return float(self.precisions[0])

    @property
    def map50_95(self) -> float:
        """mAP50-95, 0 to 1: the mean over the overlaps."""
        return float(self.precisions.mean())

    @cached_property
    def curve(self) -> Curve:
        """Precision and recall by confidence."""
        return curve(*self._finds(), self.boxes)

    @property
    def best_confidence(self) -> float | None:
        """The confidence with the highest F1; None where nothing right was found."""
        best = self.curve.best
        return None if best is None else float(self.curve.confidence[best])

    def scores(self) -> dict[str, Json]:
        """All figures, for a file or a table; shares from 0 to 1."""
        best = self.curve.best
        told: dict[str, Json] = {
            "map50": round(self.map50, 4),
            "map50_95": round(self.map50_95, 4),
            "average_precisions": [round(value, 4) for value in self.precisions.tolist()],
            "photos": len(self.photos),
            "boxes": self.boxes,
            "best_confidence": self.best_confidence,
        }
        for name in ("f1", "precision", "recall"):
            told[name] = None if best is None else round(float(getattr(self.curve, name)[best]), 4)
        return told

    def _finds(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        right = np.concatenate([judged.right for judged in self.photos])
        return right, np.array(
            [find.score for judged in self.photos for find in judged.finds], dtype=np.float64
        )


def judging_finder(weights: Weights, image_size: int, device: str = "cpu") -> YoloFinder:
    """The finder that judges weights: it leaves out next to nothing, so that the whole curve is seen."""
    return YoloFinder(weights, device, confidence=CONFIDENCE, iou=IOU, image_size=image_size, most=MOST_FINDS)


def judge(finder: Finder, photos: Sequence[BoxedPhoto]) -> Judgement:
    """Let a finder look at photos, prepared as for the table of crops, and hold its finds against the boxes.

    Args:
        finder: finds; its own least confidence bounds the curve.
        photos: at least one of them with a box.

    Raises:
        DetectionError: no photo has a box, one cannot be read, or the finder fails.
    """
    if not any(len(photo.boxes) for photo in photos):
        raise DetectionError(f"None of {len(photos)} photos has a box: there is nothing to judge by.")
    judged = []
    for start in range(0, len(photos), PHOTOS_AT_ONCE):
        some = photos[start : start + PHOTOS_AT_ONCE]
        found = finder.find([pixels_of(photo, finder.longest_side) for photo in some])
        for photo, finds in zip(some, found, strict=True):
            sides = [(find.x0, find.y0, find.x1, find.y1) for find in finds]
            right = right_finds(np.array(sides, dtype=np.float64).reshape(-1, 4), photo.boxes)
            judged.append(JudgedPhoto(photo, finds, right))
    return Judgement(judged)
