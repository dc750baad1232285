"""The finder that the settings name, or what to set."""

from pathlib import Path

import pytest

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.opening import open_finder
from snake_assets.detection.tuning import FinderTuning
from snake_assets.detection.yolo import YoloFinder
from snake_assets_tests.detection.detectors import save_detector


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector") / "tiny.pt")


def test_yolo_is_opened_as_tuned(weights: Path):
    plain = open_finder("yolo", str(weights))
    assert isinstance(plain, YoloFinder)
    assert (plain.device, plain.confidence, plain.iou, plain.image_size, plain.most) == (
        "cpu",
        0.25,
        0.7,
        640,
        10,
    )
    tuned = open_finder("yolo", str(weights.parent), tuning=FinderTuning(0.5, 0.6, 64, most=3), device="cpu")
    assert isinstance(tuned, YoloFinder)
    assert (tuned.confidence, tuned.iou, tuned.image_size, tuned.most) == (0.5, 0.6, 64, 3)


@pytest.mark.parametrize("named", [None, ""])
def test_nothing_named_says_what_to_set(named: str | None):
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is yolo.*set SNAKE_DETECTOR to a \.pt file"):
        open_finder("yolo", named)


def test_another_mode_or_device_is_refused(weights: Path):
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is 'detr'; choose none, yolo"):
        open_finder("detr", str(weights))
    with pytest.raises(DetectionError, match="SNAKE_DEVICE is 'tpu'"):
        open_finder("yolo", str(weights), device="tpu")


def test_pins_and_places_of_weights_hold(weights: Path):
    with pytest.raises(DetectionError, match="not the pinned"):
        open_finder("yolo", str(weights), pinned_sha256="0" * 64)
    with pytest.raises(DetectionError, match="inside the data"):
        open_finder("yolo", str(weights), data_root=weights.parent)
