"""The finder that the settings name, or what to set."""

from pathlib import Path

import pytest

from snake_assets.detection.detect import open_finder
from snake_assets.detection.finders.base import DetectionError, FinderTuning
from snake_assets.detection.finders.hub_models import open_hub_model, owl, sam
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets_tests.detection.detectors import save_detector


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector") / "tiny.pt")


@pytest.mark.parametrize("mode", ["yolo", "owlvit", "sam"])
def test_nothing_named_says_what_to_set(mode: str):
    wanted = {"yolo": r"a \.pt file", "owlvit": "a folder of OWL-ViT or OWLv2", "sam": "a folder of SAM"}
    with pytest.raises(DetectionError, match=f"SNAKE_CROPS is {mode}.*set SNAKE_DETECTOR to {wanted[mode]}"):
        open_finder(mode, None)


def test_another_mode_or_device_is_refused(weights: Path):
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is 'detr'; choose none, yolo, owlvit, sam"):
        open_finder("detr", str(weights))
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is sam.* set SNAKE_PROMPTER"):
        open_finder("sam", str(weights))
    with pytest.raises(DetectionError, match="SNAKE_DEVICE is 'tpu'"):
        open_finder("yolo", str(weights), device="tpu")


@pytest.mark.parametrize("wrong", [{"queries": ()}, {"queries": ("a snake", " ")}])
def test_tuning_that_no_finder_can_follow_is_refused(wrong: dict[str, object]):
    with pytest.raises(DetectionError):
        FinderTuning(**wrong)  # type: ignore[arg-type]


def test_finders_are_opened_as_tuned(sam_folder: Path, weights: Path, owl_folders: dict[str, Path]):
    tuning = FinderTuning(0.5, 0.6, 64, classes=("snake",), queries=("a viper",), most=3)
    yolo = YoloFinder(open_weights(str(weights)), "cpu", 0.5, 0.6, 64, 3, ("snake",))
    owl_model = open_hub_model(owl("SNAKE_DETECTOR"), str(owl_folders["owlv2"]))
    owlvit = OwlFinder(owl_model, ("a viper",), "cpu", 0.5, 0.6, 3)
    sam_model = open_hub_model(sam("SNAKE_DETECTOR"), str(sam_folder))
    assert open_finder("yolo", str(weights.parent), tuning=tuning) == yolo
    assert open_finder("owlvit", str(owl_folders["owlv2"]), tuning=tuning) == owlvit
    for named in (weights, weights.parent):
        prompted = open_finder("sam", str(sam_folder), prompter=str(named), tuning=tuning)
        assert prompted == SamFinder(sam_model, yolo)
    prompted = open_finder("sam", str(sam_folder), prompter=str(owl_folders["owlv2"]), tuning=tuning)
    assert isinstance(prompted, SamFinder) and isinstance(prompted.prompter, OwlFinder)
    assert open_finder("yolo", str(weights)) == YoloFinder(open_weights(str(weights)))
    assert open_finder("owlvit", str(owl_folders["owlv2"])) == OwlFinder(owl_model)


def test_pins_and_places_of_weights_hold(sam_folder: Path, weights: Path, owl_folders: dict[str, Path]):
    wrong = "0" * 64
    for mode, named in (("yolo", weights), ("owlvit", owl_folders["owlvit"]), ("sam", sam_folder)):
        with pytest.raises(DetectionError, match=f"{named} has .*not the pinned"):
            open_finder(mode, str(named), pinned_sha256=wrong, prompter=str(weights))
    for prompter in (weights, owl_folders["owlvit"]):
        with pytest.raises(DetectionError, match=f"{prompter} has .*not the pinned"):
            open_finder("sam", str(sam_folder), prompter=str(prompter), prompter_sha256=wrong)
    for options in ({"mode": "yolo", "named": str(weights)},
                    {"mode": "sam", "named": str(sam_folder), "prompter": str(weights)}):  # fmt: skip
        with pytest.raises(DetectionError, match="inside the data"):
            open_finder(**options, data_root=weights.parent)
