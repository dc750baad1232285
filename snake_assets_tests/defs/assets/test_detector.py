"""The asset snake_detector: trained once, told in full, and clear about what to set."""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from snake_assets.defs.assets.detector import OFF, DetectorConfig, snake_detector
from snake_assets.defs.resources.detector_training import DetectorTraining
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.detection.box_files import read_box_files
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.detection.judging import judge, judging_finder
from snake_assets.detection.recipe import DetectorRecipe
from snake_assets.detection.sides import split_sides
from snake_assets_tests.detection.boxed import marked_photos, write_boxes
from snake_assets_tests.detection.detectors import save_detector
from snake_assets_tests.detection.hub_folders import save_owl
from snake_assets_tests.detection.marks import image_table, marked

QUICK = {"epochs": 1, "image_size": 64, "batch": 4}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with boxes, a detector to start from and raw data without photos; and nothing set."""
    for name in ("LABELLER", "LABELLER_SHA256", "BOXES", "DETECTOR_START", "DETECTOR_START_SHA256", "DEVICE"):
        monkeypatch.delenv(f"SNAKE_{name}", raising=False)
    photos = marked_photos(8)
    write_boxes(tmp_path / "boxes", {**photos, "07.png": (photos["07.png"][0], None)})
    save_detector(tmp_path / "stock.pt", ["person", "tie"])
    (tmp_path / "data").mkdir()
    return tmp_path


def materialized(root: Path, training: DetectorTraining, **config: object) -> dict[str, object]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [snake_detector],
            instance=instance,
            resources={
                "raw_data": RawData(root=str(root / "data")),
                "store": Store(root=str(root / "store")),
                "detector_training": training,
            },
            run_config={"ops": {"snake_detector": {"config": {**QUICK, **config}}}},
        )
        (event,) = result.get_asset_materialization_events()
        found = event.step_materialization_data.materialization.metadata
        return {name: value.value for name, value in found.items()}


def training(root: Path, **changes: str) -> DetectorTraining:
    settings = {"boxes": str(root / "boxes"), "start": str(root / "stock.pt"), "device": "cpu"}
    return DetectorTraining(**{**settings, **changes})


def test_it_is_trained_judged_told_and_trained_again_only_when_something_changed(root: Path) -> None:
    shown = materialized(root, training(root))
    folder = root / "store" / "snake_detector"
    weights = open_weights(str(folder))
    assert shown["sha256"] == weights.sha256
    assert f"SNAKE_DETECTOR={weights.path} SNAKE_DETECTOR_SHA256={weights.sha256}" in shown["to_use_it"]
    held_out = split_sides(read_box_files(root / "boxes").photos).held_out
    judged = judge(judging_finder(weights, 64), held_out)
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["detector"] == judged.scores()
    for figure in ("map50", "map50_95"):
        assert shown[figure] == scores["detector"][figure]
    assert shown["map50_of_the_start"] == scores["start"]["map50"]
    assert (shown["photos_to_learn_from"], shown["photos_held_out"]) == (6, 2)
    assert "07.png" in shown["photos_without_label_file"]
    table = pl.read_csv(folder / "curve.csv")
    assert table.columns == ["detector", "confidence", "precision", "recall"]
    assert set(table["detector"]) <= {"detector", "stock.pt"}
    assert shown["curve"].startswith("![precision") and shown["finds_and_misses"].startswith("![finds")
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("_")) == [
        "curve.csv",
        "curve.png",
        "detector.pt",
        "finds.webp",
        "scores.json",
    ]
    assert not retrained(root), "nothing had changed"
    (root / "boxes" / "labels" / "00.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    assert retrained(root)


def retrained(root: Path) -> bool:
    weights = root / "store" / "snake_detector" / "detector.pt"
    before = weights.stat().st_mtime_ns
    materialized(root, training(root))
    return weights.stat().st_mtime_ns != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": "/nowhere/at/all"}, "is not a folder"),
        ({"start_sha256": "0" * 64}, "not the pinned"),
        ({"start": "yolov99.yaml"}, "no architecture"),
        ({"start": "INSIDE"}, "inside the data"),
    ],
)
def test_what_is_missing_or_refused_is_said_before_anything_is_trained(
    root: Path, changes: dict[str, str], message: str
) -> None:
    inside = save_detector(root / "data" / "inside.pt")
    changes = {name: str(inside) if value == "INSIDE" else value for name, value in changes.items()}
    with pytest.raises(dg.Failure) as refused:
        materialized(root, training(root, **changes))
    assert message in (refused.value.description or "")
    assert not (root / "store" / "snake_detector").exists()


def test_without_boxes_it_is_off_and_says_what_to_set(root: Path) -> None:
    assert materialized(root, training(root, boxes="")) == {"detector": OFF}
    assert not (root / "store" / "snake_detector").exists()


def test_settings_come_from_the_environment_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKE_BOXES", str(root / "boxes"))
    monkeypatch.setenv("SNAKE_DETECTOR_START", str(root / "stock.pt"))
    monkeypatch.setenv("SNAKE_DEVICE", "cpu")
    unset = DetectorTraining()
    assert unset.boxes_folder() == root / "boxes"
    assert unset.open_start(root / "data").name == "stock.pt"
    assert unset.resolved_device() == "cpu"


def test_a_labellers_boxes_are_learnt_from_shown_and_can_be_refused(root: Path) -> None:
    photos = {f"{n}.png": marked(64, 48, None, 50 + n, "PNG") for n in range(4)}
    copy = root / "boxes" / "images" / "00.png"
    table = image_table(root, {**photos, "copy.png": copy.read_bytes()})
    (root / "store" / "image_table").mkdir(parents=True)
    table.folder.rename(root / "store" / "image_table" / "train")
    labelling = training(root, labeller=str(save_owl(root / "owl", "owlvit")))
    shown = materialized(
        root,
        labelling,
        labels_at_least=1e-6,
        most_labelled=9,
        refused_labels=["2.png"],
        held_out=0.9,
    )
    assert shown["labels"] == {
        "looked_at": 4,
        "with_a_box": 4,
        "boxes": shown["labels"]["boxes"],
        "refused": 1,
        "unreadable": [],
    }
    assert "copy.png" in shown["left_out"] and shown["photos_held_out"] == 8
    assert shown["photos_to_learn_from"] == 3, "0.png, 1.png and 3.png"
    assert shown["labels_to_review"].startswith("![boxes that the labeller drew")
    told = pl.read_csv(root / "store" / "snake_detector" / "labels.csv")
    assert told.columns == ["image_id", "x0", "y0", "x1", "y1", "score"]
    assert told.height == shown["labels"]["boxes"]
    assert set(told["image_id"]) == {"0.png", "1.png", "3.png", "copy.png"}


@pytest.mark.parametrize(
    ("field", "value"), [("epochs", 0), ("image_size", 100), ("learning_rate", 0.0), ("held_out", 1.0)]
)
def test_values_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(dg.Failure, match=field):
        DetectorConfig(**{field: value})


def test_the_defaults_are_those_of_the_room() -> None:
    assert DetectorConfig().recipe() == DetectorRecipe()
