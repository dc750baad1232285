"""The finder that the settings name, or what to set."""

from pathlib import Path

import pytest

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.detection.finders.registry import open_finder
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.tuning import FinderTuning
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
@pytest.mark.parametrize("mode", ["yolo", "owlvit", "sam"])
def test_nothing_named_says_what_to_set(mode: str, named: str | None):
    wanted = {"yolo": r"a \.pt file", "owlvit": "a folder of OWL-ViT or OWLv2", "sam": "a folder of SAM"}
    with pytest.raises(DetectionError, match=f"SNAKE_CROPS is {mode}.*set SNAKE_DETECTOR to {wanted[mode]}"):
        open_finder(mode, named)


def test_another_mode_or_device_is_refused(weights: Path):
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is 'detr'; choose none, yolo, owlvit, sam"):
        open_finder("detr", str(weights))
    with pytest.raises(DetectionError, match="SNAKE_DEVICE is 'tpu'"):
        open_finder("yolo", str(weights), device="tpu")


def test_pins_and_places_of_weights_hold(weights: Path):
    with pytest.raises(DetectionError, match="not the pinned"):
        open_finder("yolo", str(weights), pinned_sha256="0" * 64)
    with pytest.raises(DetectionError, match="inside the data"):
        open_finder("yolo", str(weights), data_root=weights.parent)


def test_owl_is_opened_as_tuned(owl_folders: dict[str, Path]):
    plain = open_finder("owlvit", str(owl_folders["owlv2"]))
    assert isinstance(plain, OwlFinder)
    assert (plain.queries, plain.confidence, plain.iou, plain.most) == (("a photo of a snake",), 0.1, 0.7, 10)
    tuned = open_finder(
        "owlvit", str(owl_folders["owlvit"]), tuning=FinderTuning(0.5, 0.6, queries=("a viper",), most=3)
    )
    assert isinstance(tuned, OwlFinder)
    assert (tuned.queries, tuned.confidence, tuned.iou, tuned.most) == (("a viper",), 0.5, 0.6, 3)


def test_sam_is_prompted_by_yolo_or_owl_or_itself(
    sam_folder: Path, weights: Path, owl_folders: dict[str, Path]
):
    tuning = FinderTuning(0.5, 0.6, 64, most=3)
    alone = open_finder("sam", str(sam_folder), tuning=tuning)
    assert isinstance(alone, SamFinder) and alone.prompter is None
    assert (alone.least_iou, alone.iou, alone.most) == (0.5, 0.6, 3)
    for named in (weights, weights.parent):
        by_yolo = open_finder("sam", str(sam_folder), prompter=str(named), tuning=tuning)
        assert isinstance(by_yolo, SamFinder) and isinstance(by_yolo.prompter, YoloFinder)
        assert (by_yolo.prompter.confidence, by_yolo.prompter.image_size) == (0.5, 64)
    by_owl = open_finder("sam", str(sam_folder), prompter=str(owl_folders["owlv2"]), tuning=tuning)
    assert isinstance(by_owl, SamFinder) and isinstance(by_owl.prompter, OwlFinder)
    assert by_owl.prompter.confidence == 0.5


def test_pins_of_sam_and_of_its_prompter_hold_apart(
    sam_folder: Path, weights: Path, owl_folders: dict[str, Path]
):
    finder = open_finder("sam", str(sam_folder))
    digest, wrong = str(finder.fingerprint_parts()["weights"]), "0" * 64
    assert open_finder("sam", str(sam_folder), pinned_sha256=digest, prompter=str(weights))
    with pytest.raises(DetectionError, match=f"{sam_folder} has .*not the pinned"):
        open_finder("sam", str(sam_folder), pinned_sha256=wrong)
    for prompter in (weights, owl_folders["owlvit"]):
        with pytest.raises(DetectionError, match=f"{prompter} has .*not the pinned"):
            open_finder("sam", str(sam_folder), prompter=str(prompter), prompter_sha256=wrong)
    with pytest.raises(DetectionError, match="inside the data"):
        open_finder("sam", str(sam_folder), prompter=str(weights), data_root=weights.parent)


@pytest.mark.parametrize(
    "wrong", [{"confidence": 0.0}, {"iou": 1.0}, {"most": 0}, {"queries": ()}, {"queries": ("a snake", " ")}]
)
def test_tuning_that_no_finder_can_follow_is_refused(wrong: dict[str, object]):
    with pytest.raises(DetectionError):
        FinderTuning(**wrong)  # type: ignore[arg-type]
