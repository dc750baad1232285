"""Finds against boxes: which are right, and how good that is. COCO's mAP, as ultralytics computes it.

Finds take their boxes in the order of their scores, each the free one that it overlaps most, if by enough
(Lin et al., "Microsoft COCO", 2014; cocodataset.org, "Detection Evaluation"). Average precision is the area
under the falling envelope of precision over recall, with straight lines between the points, at 101 levels of
recall (`compute_ap` of ultralytics/utils/metrics.py, 8.4); COCO's own tool has steps between them instead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Least overlap (intersection over union) of a find with its box: mAP50 is by the first, mAP50-95 over all.
IOU_LEVELS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)

Boxes = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """What holds if finds below a confidence are left out, at an overlap of 0.5; most confident first.

    Attributes:
        confidence: least score of the finds that count, float64 [N], each once, falling.
        precision: share of them that are right, float64 [N].
        recall: share of the boxes that are found, float64 [N].
    """

    confidence: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall, float64 [N]."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(both > 0, both, 1)

    @property
    def best(self) -> int | None:
        """Index of the highest F1, of equal ones the most confident; None where nothing was found."""
        return int(self.f1.argmax()) if self.f1.any() else None


def overlaps(finds: Boxes, boxes: Boxes) -> Boxes:
    """Intersection over union of each of [N, 4] with each of [M, 4] (x0 y0 x1 y1): float64 [N, M]."""
    low = np.maximum(finds[:, None, :2], boxes[None, :, :2])
    high = np.minimum(finds[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clip(min=0).prod(axis=2)
    areas = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (finds, boxes)]
    joint = areas[0][:, None] + areas[1][None] - common
    shares: Boxes = common / np.where(joint > 0, joint, 1)
    return shares


def right_finds(finds: Boxes, boxes: Boxes) -> NDArray[np.bool_]:
    """Which finds of one photo are right at each overlap of `IOU_LEVELS`: bool [N, 10].

    Args:
        finds: float64 [N, 4], best first.
        boxes: float64 [M, 4]; each is found once.
    """
    right = np.zeros((len(finds), len(IOU_LEVELS)), dtype=np.bool_)
    if not len(boxes):
        return right
    taken = np.zeros((len(boxes), len(IOU_LEVELS)), dtype=np.bool_)
    levels = np.arange(len(IOU_LEVELS))
    for number, overlap in enumerate(overlaps(finds, boxes)):
        free = np.where(taken, 0, overlap[:, None])
        nearest = free.argmax(axis=0)
        right[number] = free[nearest, levels] >= IOU_LEVELS
        taken[nearest, levels] |= right[number]
    return right


def average_precision(
    right: NDArray[np.bool_], scores: NDArray[np.float64], boxes: int
) -> NDArray[np.float64]:
    """Average precision at each overlap, float64 [10].

    Args:
        right: of the finds of all photos, bool [N, 10].
        scores: of the same finds, float64 [N].
        boxes: number of boxes in all photos, 1 or more.
    """
    if not len(scores):
        return np.zeros(len(IOU_LEVELS))
    order = np.argsort(-scores, kind="stable")
    hits = right[order].cumsum(axis=0)
    precision = hits / np.arange(1, len(scores) + 1)[:, None]
    return np.array(
        [
            _area(of_hits / boxes, of_precision)
            for of_hits, of_precision in zip(hits.T, precision.T, strict=True)
        ]
    )


def curve(right: NDArray[np.bool_], scores: NDArray[np.float64], boxes: int) -> Curve:
    """Precision and recall by confidence at an overlap of 0.5. Arguments as for `average_precision`."""
    order = np.argsort(-scores, kind="stable")
    hits, confidence = right[order, 0].cumsum(), scores[order]
    # Finds of equal scores come and go together.
    last = (
        np.flatnonzero(np.append(np.diff(confidence), -1)) if len(confidence) else np.empty(0, dtype=np.int64)
    )
    return Curve(confidence[last], hits[last] / (last + 1), hits[last] / boxes)


def _area(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    recall = np.concatenate([[0.0], recall, recall[-1:], [1.0]])
    precision = np.concatenate([[1.0], precision, [0.0, 0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    levels = np.interp(RECALLS, recall, envelope)
    return float((levels[1:] + levels[:-1]).sum() / 2 / (len(RECALLS) - 1))
