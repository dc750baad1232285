"""mAP is that of ultralytics, and finds are matched as by its validator."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.detection.finders.yolo_weights import quiet_ultralytics
from snake_assets.detection.matching import IOU_LEVELS, average_precision, curve, overlaps, right_finds


def some_boxes(random: np.random.Generator, count: int) -> np.ndarray:
    corners = random.uniform(0, 0.6, (count, 2))
    return np.hstack([corners, corners + random.uniform(0.05, 0.4, (count, 2))])


def photo(seed: int, most: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Finds near the boxes, some twice, and some elsewhere."""
    random = np.random.default_rng(seed)
    boxes = some_boxes(random, random.integers(0, most))
    near = boxes[random.integers(0, len(boxes), random.integers(0, 2 * most))] if len(boxes) else boxes
    finds = np.vstack([near + random.normal(0, 0.02, near.shape), some_boxes(random, random.integers(0, 4))])
    return random.permutation(finds), boxes


@given(st.integers(0, 10_000))
def test_finds_are_matched_as_ultralytics_validator_matches_them(seed: int) -> None:
    quiet_ultralytics()
    from ultralytics.engine.validator import BaseValidator
    from ultralytics.utils.metrics import box_iou

    finds, boxes = photo(seed)
    ours = torch.from_numpy(overlaps(finds, boxes).T.copy())
    assert np.allclose(ours, box_iou(torch.from_numpy(boxes), torch.from_numpy(finds)), atol=1e-4)
    validator = SimpleNamespace(iouv=torch.from_numpy(IOU_LEVELS))
    classes = (torch.zeros(len(finds)), torch.zeros(len(boxes)))
    expected = BaseValidator.match_predictions(validator, *classes, ours).numpy()
    assert np.array_equal(right_finds(finds, boxes), expected)


@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(0, 30))
def test_average_precision_is_that_of_ultralytics(seed: int, finds: int, more_boxes: int) -> None:
    quiet_ultralytics()
    from ultralytics.utils.metrics import ap_per_class

    random = np.random.default_rng(seed)
    scores = random.uniform(0.001, 1, finds)
    right = np.sort(random.random((finds, 10)) < random.random(), axis=1)[:, ::-1]
    boxes = int(right.sum(axis=0).max()) + more_boxes or 1
    expected = ap_per_class(right, scores, np.zeros(finds), np.zeros(boxes))[5][0]
    assert np.allclose(average_precision(right, scores, boxes), expected, atol=1e-12)
    shown = curve(right, scores, boxes)
    assert len(shown.confidence) == finds and (np.diff(shown.confidence) < 0).all()
    assert shown.recall[-1] == pytest.approx(right[:, 0].sum() / boxes)


def test_figures_by_hand() -> None:
    boxes = np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    finds = np.array([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4], [0.5, 0.5, 1.0, 0.8]])
    right = right_finds(finds, boxes)
    # The first takes its box at every level; the second finds it taken; the third overlaps by 0.6.
    assert right[0].all() and not right[1].any()
    assert right[2].tolist() == [True] * 3 + [False] * 7 or right[2].tolist() == [True] * 2 + [False] * 8
    scores = np.array([0.9, 0.8, 0.8])
    shown = curve(right, scores, boxes=2)
    assert shown.confidence.tolist() == [0.9, 0.8]
    assert shown.precision.tolist() == [1, 2 / 3] and shown.recall.tolist() == [0.5, 1]
    assert shown.best == 1 and shown.f1[1] == pytest.approx(0.8)
    # The envelope is 1 up to half of the boxes, and 2/3 from there.
    assert average_precision(right, scores, boxes=2)[0] == pytest.approx(5 / 6, abs=0.01)


def test_nothing_found_and_nothing_there() -> None:
    none = np.empty((0, 4))
    box = np.array([[0.0, 0.0, 1.0, 1.0]])
    assert right_finds(none, box).shape == (0, 10) and not right_finds(box, none).any()
    nothing = right_finds(none, box)
    assert average_precision(nothing, np.empty(0), 1).tolist() == [0] * 10
    shown = curve(nothing, np.empty(0), 1)
    assert len(shown.confidence) == 0 and shown.best is None
    wrong = curve(right_finds(box, none), np.array([0.5]), 3)
    assert wrong.best is None and wrong.precision.tolist() == [0]
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0]]
