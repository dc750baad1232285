"""The whole way of a fine-tuned backbone: tuned, taken by every job, and held against the frozen one."""

import dataclasses
import json
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from snake_assets.defs.assets.dependencies import feature_tables
from snake_assets.defs.checks import Site
from snake_assets.defs.checks.classifier import CLASSIFIER_CHECKS
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.settings import Limits
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.identification import load_package
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_splits
from snake_assets.learning.train import train_classifier
from snake_assets.snakeclef.metadata import read_venom_list
from snake_assets.storage.bundles import open_bundle, write_bundle
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.embedding.tables import DINOV2, of_each_backbone
from snake_assets_tests.defs.assets.test_run import QUICK_CONFIG, definitions, metadata, run_job

pytestmark = pytest.mark.daemon

SMALL = {"resolution": 56}
TUNED, OFF = "finetuned_backbone", Crops(mode=CropMode.none)
ANSWER = {"ops": {"species_classifier": {"config": QUICK_CONFIG}, "embeddings": {"config": SMALL}}}


def tune(graph: dg.Definitions, **config: object) -> dg.ExecuteInProcessResult:
    own = {**SMALL, "epochs": 2, "batch": 8, "learning_rate": 1e-3, "held_out": 0.5, **config}
    return run_job(graph, "finetune", run_config={"ops": {TUNED: {"config": own}}})


def recipe(store: Path) -> dict[str, object]:
    return dict(open_table(store / DINOV2 / "train").manifest.recipe)


def variants(store: Path) -> dict[str, dict[str, object]]:
    told = json.loads((store / "validation_report" / "scores.json").read_text())["variants"]
    return {row["name"]: row for row in told}


@pytest.fixture(scope="module")
def frozen(
    small_set: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory, quick_map: None
) -> Path:
    """A store after a run of `snakeclef` with the frozen backbone."""
    store = tmp_path_factory.mktemp("frozen") / "store"
    assert run_job(definitions(small_set, store, demo_backbone), run_config=ANSWER).success
    return store


@pytest.fixture(scope="module")
def tuned(small_set: Path, demo_backbone: Path, frozen: Path) -> Path:
    """The same, tuned, and run again with the tuned one."""
    store = Path(shutil.copytree(frozen, frozen.parent / "tuned"))
    assert tune(definitions(small_set, store, demo_backbone)).success
    assert run_job(definitions(small_set, store, Path("finetuned")), run_config=ANSWER).success
    return store


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    small_set: Path, demo_backbone: Path, frozen: Path
) -> None:
    before = sorted(frozen.rglob("*"))
    result = tune(definitions(small_set, frozen, demo_backbone), dry_run=True)
    assert result.success and not result.get_asset_materialization_events()
    (event,) = [one for one in result.all_events if one.event_type == dg.DagsterEventType.ASSET_OBSERVATION]
    seen = event.asset_observation_data.asset_observation.metadata
    told = {name: value.value for name, value in seen.items()}
    assert "steps on" in told["plan"] and "held out" in told["plan"]
    assert all(f"| {device}" in told["cost"] for device in ("cpu", "T4, estimated", "L4", "H200"))
    assert sorted(frozen.rglob("*")) == before


def test_every_job_takes_it_and_the_report_holds_it_against_the_frozen_one(
    small_set: Path, demo_backbone: Path, frozen: Path, tuned: Path
) -> None:
    graph = definitions(small_set, tuned, demo_backbone)
    assert recipe(tuned)["weights"] != recipe(frozen)["weights"]
    assert "tuned_on" in recipe(tuned) and "tuned_on" not in recipe(frozen)
    (name,) = [name for name in variants(tuned) if name.startswith("frozen: ")]
    assert variants(tuned)[name]["track1"] == variants(frozen)["the classifier"]["track1"]
    assert len(variants(tuned)[name]["track1_gain"]) == 2
    assert not any(name.startswith("frozen") for name in variants(frozen))

    # Both beside each other, for which the same answers of the frozen one are kept.
    both = Path(shutil.copytree(tuned, tuned.parent / "both"))
    beside = definitions(small_set, both, Path(f"{demo_backbone},finetuned"))
    result = run_job(beside, run_config=ANSWER)
    assert result.success
    assert [of["weights"] for of in of_each_backbone(recipe(both))] == [
        recipe(store)["weights"] for store in (frozen, tuned)
    ]
    assert variants(both)[name]["track1"] == variants(tuned)[name]["track1"]
    assert metadata(result, "validation_report")["over_frozen"].keys() == {"track1", "interval", "f1"}
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert checks["chosen_by_unseen_photos"].passed

    own = definitions(small_set, tuned, Path("finetuned"))
    for job in ("package", "entry"):
        assert run_job(own, job).success
    photos = open_table(tuned / "image_table" / "test").read(["image", "observation_id"]).slice(0, 2)
    found = load_package(tuned / "model_package", "cpu").identify(
        *(one.to_pylist() for one in photos.columns)
    )
    assert len(found) > 0

    with pytest.raises(dg.Failure, match="`finetuned`, which is what this job writes"):
        tune(own)
    with pytest.raises(dg.Failure, match="names several backbones"):
        tune(beside)
    with pytest.raises(
        dg.Failure, match=r"embeddings of train are of .*run the job features for train first"
    ):
        tune(graph, seed=1)


def test_tuned_again_it_does_nothing(small_set: Path, demo_backbone: Path, tuned: Path) -> None:
    graph = definitions(small_set, tuned, demo_backbone)
    weights = tuned / TUNED / "model.safetensors"
    before = weights.stat()
    # Whether activations are kept decides no weights.
    told = metadata(tune(graph, checkpointing=True), TUNED)
    assert weights.stat() == before
    assert told["photos_held_out"] > 0 and "track1" in told["on_photos_held_out"]
    assert "data:image/webp" in told["curve"]
    assert not list((tuned / f"{TUNED}.checkpoints").iterdir())


def test_a_leak_into_a_choice_is_found(small_set: Path, frozen: Path, tuned: Path, tmp_path: Path) -> None:
    (check,) = CLASSIFIER_CHECKS

    def told(store: Path) -> dg.AssetCheckResult:
        site = Site(RawData(root=str(small_set)), Store(root=str(store)), OFF, Limits())
        return check.result(site, ["test"])

    assert told(frozen).passed and "No backbone was fine-tuned" in (told(frozen).description or "")
    honest = told(tuned)
    assert honest.passed and "Nothing was chosen by photos" in (honest.description or "")

    store = Path(shutil.copytree(tuned, tmp_path / "store"))
    table = read_splits(feature_tables(Store(root=str(store)), "train", OFF))
    assert table.seen is not None and table.seen.any()
    classifier = SpeciesClassifier.load(store / "species_classifier")
    venomous = read_venom_list(small_set / "metadata" / "venomous_status_list.csv")

    def told_of(leaking: SpeciesClassifier) -> str:
        made = open_bundle(store / "species_classifier").recipe
        with write_bundle(store / "species_classifier", {**made, "leak": leaking.choice.held_out}) as aside:
            leaking.save(aside)
        result = told(store)
        assert not result.passed and result.severity == dg.AssetCheckSeverity.ERROR
        return result.description or ""

    def trained(seen: np.ndarray | None) -> SpeciesClassifier:
        own = dataclasses.replace(table, seen=seen)
        return train_classifier(own, venomous, classifier.recipe, table.fingerprint or "")

    # As if vectors said nothing of what was seen, or said of seen photos that they were not.
    assert "does not tell by which photos" in told_of(trained(None))
    nothing_seen = trained(table.seen & False)
    assert f"{table.seen.sum()} photos that the backbone was fine-tuned on feed" in told_of(nothing_seen)
    one = int(table.seen.argmax())
    choice = classifier.choice.model_copy(update={"rows": (*classifier.choice.rows, one)})
    assert "1 photos that the backbone" in told_of(dataclasses.replace(classifier, choice=choice))

    other = Path(shutil.copytree(tuned, tmp_path / "other"))
    shutil.rmtree(other / "species_classifier")
    shutil.copytree(frozen / "species_classifier", other / "species_classifier")
    assert "on other embeddings of train" in (told(other).description or "")
