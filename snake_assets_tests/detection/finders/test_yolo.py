from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.vision.decoding.decode import decode
from snake_assets_tests.detection.detectors import save_detector


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> YoloFinder:
    """A finder that sees snakes everywhere."""
    path = save_detector(tmp_path_factory.mktemp("detector") / "tiny.pt")
    return YoloFinder(open_weights(str(path)), confidence=1e-6, image_size=64)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("names", "named", "counted", "warned"),
    [
        (["snake"], (), ["snake"], None),
        (["cat"], (), ["cat"], "may be anything but the snake"),
        (["Sea snake", "eel", "snakes"], (), ["Sea snake", "snakes"], None),
        (["animal", "person", "vehicle"], (), ["animal"], None),
        (["animal", "snake"], (), ["snake"], None),
        (["person", "banana"], (), [], "no photo is cropped"),
        (["Naja naja", "person", "Vipera"], ("Naja naja", "Vipera"), ["Naja naja", "Vipera"], None),
    ],
)
def test_only_what_can_be_a_snake_makes_a_crop(
    tmp_path: Path, names: list[str], named: tuple[str, ...], counted: list[str], warned: str | None
) -> None:
    weights = open_weights(str(save_detector(tmp_path / "some.pt", names)))
    finder = YoloFinder(weights, confidence=1e-6, image_size=64, most=300, classes=named)
    found = {region.label for finds in finder.find([noise(60, 60), noise(40, 60)]) for region in finds}
    assert found <= set(counted) and bool(found) == bool(counted)
    assert finder.warning is None if warned is None else warned in str(finder.warning)
    assert YoloFinder(weights, confidence=0.999, image_size=64, classes=named).find([noise(9, 9)]) == [[]]


def test_classes_that_it_does_not_know_and_odd_sizes_are_refused(eager: YoloFinder) -> None:
    with pytest.raises(DetectionError, match=r"tiny\.pt has no class 'adder': set classes .* snake"):
        replace(eager, classes=("adder",)).find([noise(9, 9)])
    with pytest.raises(DetectionError, match="multiple of 32"):
        replace(eager, image_size=100)


def test_weights_of_outlines_have_boxes_too(tmp_path: Path) -> None:
    weights = open_weights(str(save_detector(tmp_path / "seg.pt", ["person", "snake"], task="segment")))
    (found,) = YoloFinder(weights, confidence=1e-6, image_size=64).find([noise(40, 60)])
    assert found and {region.label for region in found} == {"snake"}


@pytest.mark.real
def test_finds_are_those_of_ultralytics_own_predict(shared_data: Path) -> None:
    """The same boxes, scores and classes over real photos, colours in the right order."""
    finder = YoloFinder(open_weights(str(shared_data / "weights" / "yolov8n")))
    finder = replace(finder, classes=tuple(finder.class_names.values()))
    photos = [
        decode(path.read_bytes())
        for path in sorted((shared_data / "snake-boxes" / "images").glob("*.jpg"))[:12]
    ]
    finds = finder.find(photos)
    from ultralytics import YOLO

    reference = YOLO(str(finder.weights.path))
    for photo, regions in zip(photos, finds, strict=True):
        bgr = np.ascontiguousarray(photo[..., ::-1])
        boxes = reference.predict(bgr, agnostic_nms=True, max_det=10, verbose=False, save=False)[0].boxes
        sides = [side for r in regions for side in (r.x0, r.y0, r.x1, r.y1)]
        assert np.allclose(sides, boxes.xyxyn.numpy().ravel(), atol=1e-4)
        assert np.allclose([r.score for r in regions], boxes.conf.numpy(), atol=1e-4)
        assert [r.label for r in regions] == [reference.names[int(number)] for number in boxes.cls]
    assert sum(map(len, finds)) > 3
