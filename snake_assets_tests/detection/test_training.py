"""Training on a few drawn photos: what comes out can be used, is always the same, nothing else happens."""

import socket
from dataclasses import replace
from pathlib import Path

import matplotlib.font_manager  # noqa: F401 - whoever imports it first makes its list of fonts, at home
import numpy as np
import pytest
import torch

from snake_assets.detection.box_files import HeldOut, hold_out, read_box_files
from snake_assets.detection.detect import open_finder
from snake_assets.detection.finders.base import DetectionError, FinderTuning
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import Weights, load_yolo, open_weights
from snake_assets.detection.training import PICTURES, DetectorRecipe, train_detector, training_recipe
from snake_assets_tests.detection.boxed import marked_photos, write_files
from snake_assets_tests.detection.detectors import save_detector

QUICK = DetectorRecipe(epochs=2, image_size=64, batch=4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> HeldOut:
    folder = write_files(tmp_path_factory.mktemp("boxes"), marked_photos(8))
    return hold_out(read_box_files(folder).photos, 0.25, 0)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return open_weights(str(save_detector(tmp_path_factory.mktemp("start") / "stock.pt", ["person", "tie"])))


@pytest.fixture(scope="module")
def trained(photos, start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_detector(photos, start, QUICK, folder)


def test_what_is_trained_is_taken_as_a_detector_of_snakes(trained) -> None:
    folder, scores = trained
    weights = open_weights(str(folder))
    finder = YoloFinder(weights, confidence=1e-6, image_size=64)
    assert finder.class_names == {0: "snake"} and finder.warning is None
    (finds,) = finder.find([np.zeros((48, 64, 3), dtype=np.uint8)])
    assert finds and {find.label for find in finds} == {"snake"}
    content = torch.load(weights.path, weights_only=False)
    assert content.keys() == {"model", "train_args"}, "paths, dates and the optimiser are not for keeps"
    assert content["model"].args == content["train_args"] == {"task": "detect", "imgsz": 64}
    assert b"/" not in content["model"].pt_path.encode()
    assert scores["sha256"] == weights.sha256
    assert scores["start"].keys() == scores["detector"].keys() >= {"map50", "map50_95"}
    assert {*PICTURES, "detector.pt"} >= {path.name for path in folder.iterdir()} > {"val_batch0_labels.jpg"}
    sizes = [open_finder("yolo", str(folder), tuning=FinderTuning(image_size=size)) for size in (None, 96)]
    assert [finder.longest_side for finder in sizes] == [64, 96]


def test_it_keeps_to_itself_tells_how_far_it_is_and_does_the_same_again(
    photos, start, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reached: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: reached.append(where))
    monkeypatch.setattr(socket.socket, "connect", lambda _, where: reached.append(where))
    for folder in ("home", "work", "temporary", "out"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "work")
    # A file of this name where it runs is not the architecture.
    (tmp_path / "work" / "yolov8n.yaml").write_text("backbone: []\n")
    boxes = photos.training[0].path.parents[1]
    there, threads = sorted(boxes.rglob("*")), torch.get_num_threads()
    told: list[tuple[int, int]] = []
    scores = train_detector(photos, start, QUICK, tmp_path / "out", progress=lambda *how: told.append(how))
    assert scores == trained[1]
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert not reached and capfd.readouterr() == ("", "")
    assert sorted(boxes.rglob("*")) == there
    left = [path.name for folder in ("home", "work", "temporary") for path in (tmp_path / folder).rglob("*")]
    assert left == ["yolov8n.yaml"]
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()


def test_without_weights_it_starts_from_an_architecture(photos, tmp_path: Path) -> None:
    scores = train_detector(photos, None, replace(QUICK, epochs=1, frozen_layers=0), tmp_path)
    assert scores["start"] is None and load_yolo(open_weights(str(tmp_path))).model.yaml["scale"] == "n"


def test_what_decides_the_detector_is_in_the_recipe(start: Weights) -> None:
    recipes = [training_recipe(start, QUICK), training_recipe(None, QUICK)]
    recipes += [training_recipe(start, replace(QUICK, seed=1))]
    assert len({str(recipe) for recipe in recipes}) == 3 and recipes[0]["start"] == start.sha256


def test_a_training_that_fails_or_cannot_begin_says_what_to_set(photos, start, tmp_path: Path) -> None:
    with pytest.raises(
        DetectionError, match=r"failed on 6 photos on cpu .*(smaller batch|lower learning_rate)"
    ):
        train_detector(photos, start, replace(QUICK, frozen_layers=99), tmp_path)
    assert not list(tmp_path.iterdir())
    outlines = open_weights(str(save_detector(tmp_path / "seg.pt", task="segment")))
    with pytest.raises(DetectionError, match=r"seg\.pt is for the task segment"):
        train_detector(photos, outlines, QUICK, tmp_path)
