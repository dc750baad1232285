"""Pictures of a detector: of any, also of one that finds nothing."""

import io

import numpy as np
import pytest
from PIL import Image

from snake_assets.detection.auto_labels import LabelledPhoto
from snake_assets.detection.box_files import read_box_files
from snake_assets.detection.judging import JudgedPhoto, Judgement, judge
from snake_assets.plots.detector_curve import detector_curve_png
from snake_assets.plots.finds_sheet import finds_sheet
from snake_assets.plots.label_sheet import label_sheet
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.boxed import marked_photos, write_boxes
from snake_assets_tests.detection.marks import Finds, MarkFinder


@pytest.fixture(scope="module")
def judgements(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judgement]:
    folder = write_boxes(tmp_path_factory.mktemp("boxes"), marked_photos(23))
    photos = read_box_files(folder).photos
    spots = (Region(0.5, 0.5, 1, 1, 0.6, "tie"), Region(0, 0, 1, 1, 0.2, "cat"))
    return {
        "finds all": judge(MarkFinder(), photos),
        "finds one spot": judge(Finds(spots), photos),
        "finds nothing": judge(Finds(()), photos),
    }


def test_the_curves_are_small_and_of_any_detectors(judgements: dict[str, Judgement]) -> None:
    every, one = detector_curve_png(judgements), detector_curve_png({"one": judgements["finds nothing"]})
    assert Image.open(io.BytesIO(every)).size == Image.open(io.BytesIO(one)).size == (640, 460)
    assert len(one) < len(every) < 30_000
    assert detector_curve_png(judgements) == every


def test_labels_to_review_run_from_the_least_sure_to_the_surest(judgements: dict[str, Judgement]) -> None:
    photos = [judged.photo for judged in judgements["finds all"].photos]
    labelled = [
        LabelledPhoto(photo, [Region(0, 0, 0.5, 0.5, n / 30, "snake")]) for n, photo in enumerate(photos)
    ]
    sheet = label_sheet(labelled)
    assert Image.open(io.BytesIO(sheet)).height > Image.open(io.BytesIO(label_sheet(labelled[:3]))).height
    assert label_sheet(labelled[::-1]) == sheet
    assert Image.open(io.BytesIO(label_sheet([]))).format == "WEBP"


def test_long_curves_stay_small(judgements: dict[str, Judgement]) -> None:
    (photo,) = judgements["finds all"].photos[:1]
    random = np.random.default_rng(0)
    finds = [Region(0, 0, 1, 1, score, "snake") for score in random.random(5000)]
    many = Judgement([JudgedPhoto(photo.photo, finds, random.random((5000, 10)) < 0.001)])
    assert len(detector_curve_png({"many": many, "again": many})) < 30_000


def test_the_sheet_shows_twenty_photos_the_worst_first(judgements: dict[str, Judgement]) -> None:
    sheets = {name: Image.open(io.BytesIO(finds_sheet(judged))) for name, judged in judgements.items()}
    assert len({sheet.size for sheet in sheets.values()}) == 1
    pixels = {name: np.asarray(sheet.convert("RGB")).astype(int) for name, sheet in sheets.items()}
    assert np.abs(pixels["finds all"] - pixels["finds nothing"]).max() > 100
    few = Judgement(judgements["finds all"].photos[:5])
    assert Image.open(io.BytesIO(finds_sheet(few))).height < sheets["finds all"].height
