"""Crops in the graph: off unless asked for, chosen among when they are there, and told of in the report."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from snake_assets.defs.assets.crops import OFF
from snake_assets.defs.assets.dependencies import CROP_TABLES, FEATURE_TABLES
from snake_assets.defs.automation.staleness import SoughtBackbone, stale_answers, stale_features
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import Store
from snake_assets.detection.detect import FINDING_VERSION
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.reading import read_splits
from snake_assets.snakeclef.raw.sources import LocalData
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.preprocessing.regions import CROPS
from snake_assets_tests.defs.assets.test_run import EVERY_SPLIT, SPLITS, definitions, metadata, run_job
from snake_assets_tests.vision.boxes import box, write_crops

ON, NONE = Crops(mode=CropMode.yolo), Crops(mode=CropMode.none)
FINDER = {"version": FINDING_VERSION, "finder": "by hand"}
CONFIG = {
    "crop_embeddings": {"config": {"margin": 0.25}},
    "species_classifier": {"config": {"folds": 3}},
}
ANSWERS = ("species_classifier", "final_classifier", "validation_report", "submission")


@dataclass(frozen=True)
class Cropped:
    data: Path
    store: Path
    backbone: Path
    result: dg.ExecuteInProcessResult


def run_assets(
    data: Path, store: Path, backbone: Path, crops: Crops, assets: Sequence[str], ops: object = None
) -> dg.ExecuteInProcessResult:
    graph = definitions(data, store, backbone, {"crops": crops})
    return run_job(graph, assets, EVERY_SPLIT, run_config={"ops": ops or {}})


def boxed(store: Path, split: str, recipe: dict[str, object] = FINDER) -> None:
    images = open_table(store / "image_table" / split)
    names = images.read(["image_id"])["image_id"].to_pylist()
    found = {name: box(0.1, 0.2, 0.7, 0.4 + number / len(names) / 2) for number, name in enumerate(names)}
    write_crops(store / CROPS / split, images, found, recipe=recipe)


def contents(store: Path, names: tuple[str, ...]) -> dict[Path, bytes]:
    paths = [path for name in names for path in (store / name).rglob("*.*")]
    return {path.relative_to(store): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def cropped(finished_run, small_set: Path, demo_backbone: Path, tmp_path_factory) -> Cropped:
    """A store that had no crops, after crops of all splits and all answers were made with them."""
    store = tmp_path_factory.mktemp("cropped") / "store"
    shutil.copytree(finished_run[0], store)
    for split in SPLITS:
        boxed(store, split)
    result = run_assets(small_set, store, demo_backbone, ON, [*CROP_TABLES, *ANSWERS], CONFIG)
    assert result.success
    return Cropped(small_set, store, demo_backbone, result)


def test_every_photo_has_its_crop_and_whole_photos_are_left_as_they_were(cropped: Cropped, finished_run):
    for split in SPLITS:
        images = open_table(cropped.store / "image_table" / split)
        for name in CROP_TABLES:
            table = open_table(cropped.store / name / split)
            assert table.read(["image_id"]).equals(images.read(["image_id"]))
            shown = metadata(cropped.result, name, split)
            assert shown["dagster/row_count"] == shown["photos_computed"] == images.manifest.rows_out
            assert shown["recipe"]["crop"]["margin"] == 0.25
            assert shown["recipe"]["crop"]["finder"] == FINDER
    assert contents(cropped.store, FEATURE_TABLES) == contents(finished_run[0], FEATURE_TABLES)


def test_off_nothing_is_computed_and_what_is_there_stays(cropped: Cropped):
    before = contents(cropped.store, CROP_TABLES)
    result = run_assets(cropped.data, cropped.store, cropped.backbone, NONE, CROP_TABLES)
    assert result.success
    for name in CROP_TABLES:
        assert metadata(result, name, "val") == {"dagster/row_count": 0, "crops": OFF}
    assert contents(cropped.store, CROP_TABLES) == before


def test_answers_with_crops_are_none_without_them(cropped: Cropped):
    assert "crop_cls" in metadata(cropped.result, "species_classifier")["features"]
    store = Store(root=str(cropped.store))
    assert stale_answers(store, ON) is None
    assert "species_classifier was made of other features" in stale_answers(store, NONE).why
    classifier = SpeciesClassifier.load(cropped.store / "species_classifier")
    assert {"cls", "patch_mean", "crop_cls", "crop_patch_mean"} <= set(classifier.features)
    tables = [open_table(cropped.store / name / "val") for name in (*FEATURE_TABLES, *CROP_TABLES)]
    assert np.isfinite(classifier.probabilities(read_splits(tables))).all()
    with pytest.raises(LearningError, match="train again"):
        classifier.probabilities(read_splits(tables[:2]))


def test_missing_boxes_are_told_of(cropped: Cropped, tmp_path: Path):
    store = tmp_path / "store"
    shutil.copytree(cropped.store / "image_table", store / "image_table")
    with pytest.raises(dg.Failure) as refused:
        run_assets(cropped.data, store, cropped.backbone, ON, CROP_TABLES)
    assert "materialize yolo_crops for" in refused.value.description


def test_schedules_judge_crops_where_they_are_on(cropped: Cropped, tmp_path: Path):
    store = shutil.copytree(cropped.store, tmp_path / "store")
    sought = SoughtBackbone.of(BackboneSetting(name=str(cropped.backbone)), Store(root=str(store)))

    def wish(split: str) -> str | None:
        raw = LocalData(cropped.data).listing(split)
        stale = stale_features(raw, Store(root=str(store)), sought, ON)
        return stale.why if stale else None

    assert [wish(split) for split in SPLITS] == [None] * 3
    shutil.rmtree(store / "crop_embeddings" / "val")
    assert wish("val") == "crop_embeddings is missing"
    boxed(store, "train", {**FINDER, "finder": "another"})
    assert "by what another finder found" in wish("train")
    boxed(store, "train", {**FINDER, "version": FINDING_VERSION + 1})
    assert wish("train") == "yolo_crops was made by another version of the code"
    shutil.rmtree(store / CROPS / "test")
    assert wish("test") == "yolo_crops is missing"
