"""A finder held against boxes that a person drew."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snake_assets.detection.box_files import BoxFiles, read_box_files
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.detection.judging import judge, judging_finder
from snake_assets.detection.sides import split_sides
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.boxed import marked_photos, write_boxes
from snake_assets_tests.detection.marks import Finds, MarkFinder


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> BoxFiles:
    return read_box_files(write_boxes(tmp_path_factory.mktemp("boxes"), marked_photos(20)))


def test_a_finder_that_finds_every_mark_is_perfect(boxes: BoxFiles) -> None:
    finder = MarkFinder(longest_side=48)
    judged = judge(finder, boxes.photos)
    assert judged.map50 == pytest.approx(1, abs=0.01) and judged.map50_95 > 0.8
    assert judged.best_confidence == 0.75
    assert judged.scores()["f1"] == judged.scores()["recall"] == judged.scores()["precision"] == 1
    assert (judged.scores()["photos"], judged.scores()["boxes"]) == (20, 20)
    assert set(finder.shown) == {(36, 48, 3)}, "not prepared as for the table of crops"


def test_a_photo_without_a_snake_counts_against_who_finds_one(boxes: BoxFiles) -> None:
    without = [replace(photo, boxes=np.empty((0, 4))) for photo in boxes.photos[:10]]
    judged = judge(MarkFinder(), [*without, *boxes.photos[10:]])
    assert judged.scores()["precision"] == 0.5 and judged.scores()["recall"] == 1
    assert not any(photo.right.any() for photo in judged.photos[:10])


def test_any_class_is_a_snake_and_a_miss_is_a_miss(boxes: BoxFiles) -> None:
    tie = Region(*boxes.photos[0].boxes[0].tolist(), score=0.4, label="tie")
    judged = judge(Finds((tie,)), boxes.photos[:1])
    assert judged.map50 == pytest.approx(1, abs=0.01)
    nothing = judge(Finds(()), boxes.photos)
    assert (nothing.map50, nothing.map50_95, nothing.best_confidence, nothing.boxes) == (0, 0, None, 20)


def test_without_boxes_there_is_nothing_to_judge_by(boxes: BoxFiles) -> None:
    with pytest.raises(DetectionError, match="None of 1 photos has a box"):
        judge(MarkFinder(), [replace(boxes.photos[0], boxes=np.empty((0, 4)))])


@pytest.mark.real
def test_stock_weights_find_few_snakes_in_real_photos(shared_data: Path) -> None:
    held_out = split_sides(read_box_files(shared_data / "snake-boxes").photos).held_out
    stock = judging_finder(open_weights(str(shared_data / "weights" / "yolov8n")), 352)
    assert 0.02 < judge(stock, held_out[:8]).map50 < 0.7
