"""The asset snake_detector: trained once, told in full, and clear about what to set."""

import json
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.defs.assets.detector import OFF, snake_detector
from snake_assets.defs.resources.finder import DetectorTraining
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets_tests.detection.boxed import marked_photos, write_files
from snake_assets_tests.detection.detectors import save_detector


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with boxes, a detector to start from and raw data without photos; and nothing set."""
    for name in ("BOXES", "DEVICE"):
        monkeypatch.delenv(f"SNAKE_{name}", raising=False)
    write_files(tmp_path / "boxes", {**marked_photos(8), "labels/07.txt": ""})
    save_detector(tmp_path / "stock.pt", ["person", "tie"])
    (tmp_path / "data").mkdir()
    return tmp_path


def materialized(root: Path, boxes: str | None = None, **config: object) -> dict[str, object]:
    quick = {"epochs": 1, "image_size": 64, "batch": 4, "start": str(root / "stock.pt"), **config}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [snake_detector],
            instance=instance,
            resources={
                "raw_data": RawData(root=str(root / "data")),
                "store": Store(root=str(root / "store")),
                "detector_training": DetectorTraining(boxes=boxes, device="cpu"),
            },
            run_config={"ops": {"snake_detector": {"config": quick}}},
        )
        (event,) = result.get_asset_materialization_events()
        found = event.step_materialization_data.materialization.metadata
        return {name: value.value for name, value in found.items()}


def test_it_is_trained_judged_told_and_trained_again_only_when_something_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAKE_BOXES", str(root / "boxes"))
    shown = materialized(root)
    folder = root / "store" / "snake_detector"
    weights = open_weights(str(folder))
    assert shown["sha256"] == weights.sha256
    assert f"SNAKE_DETECTOR={weights.path}" in shown["to_use_it"]
    scores = json.loads((folder / "scores.json").read_text())
    assert (shown["map50"], shown["map50_95"]) == (
        scores["detector"]["map50"],
        scores["detector"]["map50_95"],
    )
    assert shown["map50_of_the_start"] == scores["start"]["map50"]
    assert (shown["photos_to_learn_from"], shown["photos_held_out"]) == (6, 2)
    assert "07.png" in shown["photos_without_a_box"]
    assert shown["val_batch0_labels"].startswith("![photos that were held out")
    written = weights.path.stat().st_mtime_ns
    materialized(root)
    assert weights.path.stat().st_mtime_ns == written, "nothing had changed"
    write_files(root / "boxes", {"labels/00.txt": "0 0.5 0.5 0.5 0.5\n"})
    materialized(root)
    assert weights.path.stat().st_mtime_ns != written


def test_what_is_off_missing_or_refused_is_said_before_anything_is_trained(root: Path) -> None:
    assert materialized(root) == {"detector": OFF}
    inside = save_detector(root / "data" / "inside.pt")
    for message, changes in {
        "is not a folder": {"boxes": "/nowhere/at/all"},
        "not the pinned": {"start_sha256": "0" * 64},
        "never downloaded": {"start": "yolov8n.pt"},
        "inside the data": {"start": str(inside)},
    }.items():
        with pytest.raises(dg.Failure) as refused:
            materialized(root, **{"boxes": str(root / "boxes"), **changes})
        assert message in (refused.value.description or "")
    assert not (root / "store" / "snake_detector").exists()
