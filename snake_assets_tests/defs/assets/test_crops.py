"""The asset yolo_crops: off unless asked for, the same as its room, and strict about weights."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.defs.assets.crops import OFF, yolo_crops
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.settings import Engine
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.detection.detect import FindingSettings, find_snakes, open_finder
from snake_assets.detection.finders.base import FinderTuning
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.detection.detectors import save_detector
from snake_assets_tests.detection.marks import image_table, marked

TUNING = FinderTuning(confidence=0.001, image_size=64)
CONFIG = {"image_size": 64, "confidence": 0.001}


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, so that it finds something in anything; knows cats alone."""
    return save_detector(tmp_path_factory.mktemp("weights") / "detector.pt", ["cat"])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image_table of val in its store, and nothing set."""
    for name in ("CROPS", "DETECTOR", "PROMPTER"):
        monkeypatch.delenv(f"SNAKE_{name}", raising=False)
    table = image_table(tmp_path, {f"{n}.png": marked(64, 48, None, n, "PNG") for n in range(5)})
    (tmp_path / "store" / "image_table").mkdir(parents=True)
    table.folder.rename(tmp_path / "store" / "image_table" / "val")
    return tmp_path


def materialized(root: Path, config: Mapping[str, object] = CONFIG, **crops: object) -> dict[str, object]:
    """The metadata of val."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [yolo_crops],
            partition_key="val",
            instance=instance,
            resources={
                "raw_data": RawData(root=str(root / "data")),
                "store": Store(root=str(root / "store")),
                "crops": Crops(**crops),
                "engine": Engine(),
            },
            run_config={"ops": {"yolo_crops": {"config": config}}},
        )
        (event,) = result.get_asset_materialization_events()
        found = event.step_materialization_data.materialization.metadata
        return {name: value.value for name, value in found.items()}


def test_off_it_writes_nothing_and_leaves_what_is_there_alone(root: Path, detector: Path):
    assert materialized(root) == {"dagster/row_count": 0, "crops": OFF}
    assert not (root / "store" / "yolo_crops").exists()
    materialized(root, mode="yolo", detector=str(detector))
    before = open_table(root / "store" / "yolo_crops" / "val").manifest
    materialized(root, mode="none", detector=str(detector))
    assert open_table(root / "store" / "yolo_crops" / "val").manifest == before


def test_the_table_is_the_rooms_and_told_in_full(root: Path, detector: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_CROPS", "yolo")
    monkeypatch.setenv("SNAKE_DETECTOR", str(detector.parent))
    shown = materialized(root)
    table = open_table(root / "store" / "yolo_crops" / "val")
    finder = open_finder("yolo", str(detector), tuning=TUNING)
    find_snakes(open_table(root / "store" / "image_table" / "val"), root / "own", finder, FindingSettings())
    assert table.read().equals(open_table(root / "own").read())
    assert shown["dagster/row_count"] == shown["photos_computed"] == 5
    without = sum(finds == 0 for finds in table.read(["finds"])["finds"].to_pylist())
    assert (shown["photos_without_a_find"], shown["share_without_a_find"]) == (without, without / 5)
    assert shown["recipe"]["weights"] == hashlib.sha256(detector.read_bytes()).hexdigest()
    assert "knows no snakes" in shown["warning"]
    assert shown["boxes"].startswith("![finds in val")
    again = materialized(root)
    assert (again["photos_computed"], again["rows_copied"]) == (0, 0)


def test_weights_that_cannot_be_used_stop_it_with_what_to_do(root: Path, detector: Path):
    inside = root / "data" / "train" / "detector.pt"
    inside.write_bytes(detector.read_bytes())
    for message, crops in {
        "SNAKE_DETECTOR": {},
        "not the pinned": {"detector_sha256": "0" * 64, "detector": str(detector)},
        "detector_in_data": {"detector": str(inside)},
    }.items():
        with pytest.raises(dg.Failure) as refused:
            materialized(root, mode="yolo", **crops)
        assert message in refused.value.description
        assert not (root / "store" / "yolo_crops").exists()
    shown = materialized(root, mode="yolo", detector=str(inside), detector_in_data=True)
    assert shown["dagster/row_count"] == 5
