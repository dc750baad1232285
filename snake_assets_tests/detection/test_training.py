"""Training on a few drawn photos: what comes out can be used, is always the same, nothing else happens."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.font_manager  # noqa: F401 - whoever imports it first makes its list of fonts, at home
import numpy as np
import pytest
import torch

from snake_assets.detection.box_files import BoxedPhoto, read_box_files
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.registry import open_finder
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import (
    Weights,
    load_detector,
    open_weights,
    quiet_ultralytics,
)
from snake_assets.detection.recipe import DetectorRecipe
from snake_assets.detection.starting import Start, open_start
from snake_assets.detection.training import train_detector
from snake_assets.detection.tuning import FinderTuning
from snake_assets.storage.fingerprints import file_digest
from snake_assets_tests.detection.boxed import marked_photos, write_boxes
from snake_assets_tests.detection.detectors import save_detector

QUICK = DetectorRecipe(epochs=2, image_size=64, batch=4, last_without_mosaic=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Sequence[BoxedPhoto]:
    return read_box_files(write_boxes(tmp_path_factory.mktemp("boxes"), marked_photos(6))).photos


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    return open_start(str(save_detector(tmp_path_factory.mktemp("start") / "stock.pt", ["person", "tie"])))


@pytest.fixture(scope="module")
def trained(photos, start, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    file = tmp_path_factory.mktemp("trained") / "detector.pt"
    train_detector(photos, start, QUICK, file)
    return open_weights(str(file))


def test_what_is_trained_is_taken_as_a_detector_of_snakes(trained: Weights) -> None:
    finder = YoloFinder(trained, confidence=1e-6, image_size=64)
    assert finder.class_names == {0: "snake"} and finder.warning is None
    (finds,) = finder.find([np.zeros((48, 64, 3), dtype=np.uint8)])
    assert finds and {find.label for find in finds} == {"snake"}
    content = torch.load(trained.path, weights_only=False)
    assert content.keys() == {"model", "train_args"}, "paths, dates and the optimiser are not for keeps"
    assert content["model"].args == content["train_args"] == {"task": "detect", "imgsz": 64}


def test_photos_are_scaled_as_in_its_training_unless_a_size_is_set(trained: Weights) -> None:
    plain, tuned = (
        open_finder("yolo", str(trained.path), tuning=FinderTuning(image_size=size)) for size in (None, 96)
    )
    assert (plain.longest_side, tuned.longest_side) == (64, 96)


def test_ultralytics_itself_opens_it(trained: Weights) -> None:
    from ultralytics import YOLO

    assert YOLO(str(trained.path)).names == {0: "snake"}


def test_frozen_layers_stay_and_the_others_learn(trained: Weights, start: Start) -> None:
    assert start.weights is not None
    before, after = (load_detector(weights).state_dict() for weights in (start.weights, trained))
    same = {
        name
        for name in before
        if before[name].shape == after[name].shape and before[name].is_floating_point()
    }
    frozen = {name for name in same if int(name.split(".")[1]) < QUICK.frozen_layers}
    assert len(frozen) > 50 and len(same - frozen) > 50
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert any(not torch.equal(before[name], after[name]) for name in same - frozen)


def test_the_same_again_is_the_same_file_and_another_seed_is_not(
    photos, start, trained, tmp_path: Path
) -> None:
    train_detector(photos, start, QUICK, tmp_path / "again.pt")
    train_detector(photos, start, replace(QUICK, seed=1), tmp_path / "other.pt")
    assert file_digest(tmp_path / "again.pt") == trained.sha256
    assert file_digest(tmp_path / "other.pt") != trained.sha256


def test_it_keeps_to_itself_and_tells_how_far_it_is(
    photos, start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reached: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: reached.append(where))
    monkeypatch.setattr(socket.socket, "connect", lambda _, where: reached.append(where))
    for folder in ("home", "work", "temporary"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "work")
    boxes = photos[0].path.parents[1]
    there, threads = sorted(boxes.rglob("*")), torch.get_num_threads()
    told: list[tuple[int, int]] = []
    train_detector(photos, start, QUICK, tmp_path / "new.pt", progress=lambda *how_far: told.append(how_far))
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert not reached and capfd.readouterr() == ("", "")
    assert sorted(boxes.rglob("*")) == there
    assert not [path for folder in ("home", "work", "temporary") for path in (tmp_path / folder).rglob("*")]
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()


def test_an_architecture_that_ultralytics_brings_is_a_start(tmp_path: Path) -> None:
    start = open_start("yolov8n.yaml")
    layout, weights = start.open()
    assert weights is None and layout["scale"] == "n" and layout["backbone"]
    assert start.name == "yolov8n.yaml (untrained)"
    assert start.fingerprint_parts() == {"architecture": "yolov8n.yaml"}


@pytest.mark.parametrize(
    "named", ["yolov8q.yaml", "https://example.com/yolov8n.yaml", "../yolov8n.yaml", "my.yaml"]
)
def test_any_other_architecture_is_refused(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text("backbone: []\n")
    with pytest.raises(DetectionError, match="no architecture that ultralytics brings"):
        open_start(named)


def test_weights_to_start_from_are_pinned_and_lie_outside_the_data(start: Start, tmp_path: Path) -> None:
    assert start.weights is not None
    file, digest = str(start.weights.path), start.weights.sha256
    assert open_start(file, digest) == start
    assert start.fingerprint_parts() == {"weights": digest} and start.name == "stock.pt"
    with pytest.raises(DetectionError, match="not the pinned"):
        open_start(file, "0" * 64)
    with pytest.raises(DetectionError, match="inside the data"):
        open_start(file, data_root=start.weights.path.parent)
    with pytest.raises(DetectionError, match="is an architecture"):
        open_start("yolov8n.yaml", digest)


def test_without_a_box_nothing_is_learnt(photos, start, tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="None of the 1 photos to learn from has a box"):
        train_detector([replace(photos[0], boxes=np.empty((0, 4)))], start, QUICK, tmp_path / "none.pt")


def test_a_training_that_fails_says_what_to_set(photos, start, tmp_path: Path) -> None:
    quiet_ultralytics()
    with pytest.raises(
        DetectionError, match=r"failed on 6 photos on cpu .*(smaller batch|lower learning_rate)"
    ):
        train_detector(photos, start, replace(QUICK, frozen_layers=99), tmp_path / "none.pt")
    assert not (tmp_path / "none.pt").exists()


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch": 0}, {"image_size": 100}, {"learning_rate": 0}, {"seed": -1}]
)
def test_recipes_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(DetectionError):
        DetectorRecipe(**wrong)
