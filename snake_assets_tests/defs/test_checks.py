"""Checks pass on what the platform makes, name what is planted, and stop what they must, in real runs."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from snake_assets.definitions import defs
from snake_assets.defs.checks import STEPS, Site
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.settings import Limits
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.submission import read_submission, submission_csv
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import definitions, run_job
from snake_assets_tests.written import vector_rows, vectors_of, with_vectors, write, write_again

SPLITS = ("train", "val", "test")
VECTORS = ("dinov2_embeddings", "dct_embeddings", "crop_embeddings")
CHECKS = {(check.asset, check.name): check for checks in STEPS.values() for check in checks}
# What the drawn set is made with: four broken photos a split, and species with three photos.
TRUE_WARNINGS = {("image_table", "few_rejects"), ("image_table", "photos_for_every_species")}

Plant = Callable[[Path], None]


def evaluations(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {
        (found.asset_key.to_user_string(), found.check_name): found
        for found in result.get_asset_check_evaluations()
    }


def site(store: Path, data: Path, **limits: float) -> Site:
    return Site(RawData(root=str(data)), Store(root=str(store)), Crops(), Limits(**limits))


def test_one_run_over_all_splits_passes_with_the_warnings_that_are_true(finished_run):
    _, result = finished_run
    assert result.success
    found = evaluations(result)
    assert set(found) == set(CHECKS)
    failed = {key for key, evaluation in found.items() if not evaluation.passed}
    # How a classifier answers a dozen observations is another test's matter.
    assert failed - {("submission", "species_as_often_as_in_train")} == TRUE_WARNINGS
    rows = found["dct_embeddings", "rows_accounted_for"]
    for split in SPLITS:
        assert f"| {split} | 0 |" in rows.metadata["looked_at"].value
    rejects = found["image_table", "few_rejects"]
    assert rejects.severity == dg.AssetCheckSeverity.WARN
    assert "the limit is 1.00%" in rejects.description
    assert rejects.metadata["offenders"].value.count("\n- ") == 11


def test_where_nothing_was_made_there_is_nothing_to_fail(small_set: Path, tmp_path: Path):
    for check in CHECKS.values():
        result = check.result(site(tmp_path, small_set), SPLITS)
        assert result.passed and result.description.startswith("Off"), check


def change(table: str, changed: Callable[[pa.Table], pa.Table]) -> Plant:
    return lambda store: write_again(store / table / "val", changed)


def with_first(column: str, value: object) -> Callable[[pa.Table], pa.Table]:
    """The rows with another value in a column of the first of them."""

    def changed(rows: pa.Table) -> pa.Table:
        values = pa.array([value, *rows[column].to_pylist()[1:]], rows.schema.field(column).type)
        return rows.set_column(rows.column_names.index(column), column, values)

    return changed


@partial(change, "dinov2_embeddings")
def not_a_number(rows: pa.Table) -> pa.Table:
    vectors = vectors_of(rows, "patch_mean")
    vectors[3, 5] = np.nan
    return with_vectors(rows, "patch_mean", vectors)


def shared_observation(store: Path) -> None:
    of_train = open_table(store / "image_table" / "train").read(["observation_id"])["observation_id"][0]
    change("image_table", with_first("observation_id", of_train.as_py()))(store)


twice = change("image_table", lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))
one_lost = change("image_table", lambda rows: rows.slice(1))
unknown_class = change("image_table", with_first("class_id", 9999))
shifted = change("dct_embeddings", lambda rows: rows.take([1, 0, *range(2, len(rows))]))


def other_backbone(store: Path) -> None:
    write_again(store / "dinov2_embeddings" / "val", recipe={"backbone": "another"})


def unanswered(store: Path) -> None:
    path = store / "submission" / "submission.csv"
    header, _, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *lines]))


def renumbered(store: Path) -> None:
    path = store / "submission" / "submission.csv"
    path.write_text(submission_csv(dict.fromkeys(read_submission(path), 12345)))


@pytest.mark.parametrize(
    ("plant", "asset", "name", "told"),
    [
        (twice, "image_table", "image_ids_unique", "stands 2 times"),
        (one_lost, "image_table", "rows_accounted_for", "is neither a row nor a reject"),
        (one_lost, "dct_embeddings", "rows_accounted_for", "is a row and never went in"),
        (unknown_class, "image_table", "class_ids_in_venom_list", "class_id 9999, photos: 1"),
        (shared_observation, "image_table", "observations_in_one_split", "stands in train too"),
        (shifted, "dct_embeddings", "rows_accounted_for", "row 0 is photo"),
        (not_a_number, "dinov2_embeddings", "vectors_sound", "has a NaN or infinite patch_mean"),
        (other_backbone, "dinov2_embeddings", "one_recipe", '"another" where train has "backbone"'),
        (other_backbone, "dct_embeddings", "one_recipe", 'where dinov2_embeddings has "another"'),
        (unanswered, "submission", "answers_every_test_observation", "has no answer"),
        (renumbered, "submission", "class_ids_in_venom_list", "class_id 12345"),
    ],
)
def test_a_planted_fault_blocks_the_run_that_made_it(
    own_store: Path, small_set: Path, plant: Plant, asset: str, name: str, told: str
):
    check = CHECKS[asset, name]
    assert check.blocking
    plant(own_store)
    result = check.result(site(own_store, small_set), ["val"])
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert told in result.metadata["offenders"].value
    assert result.metadata["faults"].value >= 1


def test_outside_of_the_official_layout_a_class_without_a_venom_status_passes_and_is_told(tmp_path: Path):
    data, store = tmp_path / "data", tmp_path / "store"
    for species in ("3", "7"):
        (data / species).mkdir(parents=True)
        (data / species / "photo.jpg").write_bytes(b"")
    (data / "venomous_status_list.csv").write_text("class_id,MIVS\n3,1\n")
    write(store / "image_table" / "train", [pa.table({"image_id": ["a", "b"], "class_id": [3, 7]})])
    result = CHECKS["image_table", "class_ids_in_venom_list"].result(site(store, data), SPLITS)
    assert result.passed and result.metadata["faults"].value == 0
    told = "train: 1 of 2 species have no venom status, class_id 7 first: Track 1 and Track 2"
    assert result.description.startswith(told) and result.description.endswith("Looked at: train.")


def test_no_more_than_twenty_offenders_are_named(own_store: Path, small_set: Path):
    write_again(own_store / "image_table" / "train", lambda rows: rows.slice(0, 30))
    result = CHECKS["image_table", "rows_accounted_for"].result(site(own_store, small_set), ["train"])
    assert result.metadata["faults"].value > 21
    assert result.metadata["offenders"].value.count("- ") == 21
    assert f"and {result.metadata['faults'].value - 20} more" in result.metadata["offenders"].value


def warned(check: tuple[str, str], store: Path, data: Path, **limits: float) -> str | None:
    """What a check warns of; None where it passes."""
    assert not CHECKS[check].blocking
    result = CHECKS[check].result(site(store, data, **limits), SPLITS)
    assert result.passed or result.severity == dg.AssetCheckSeverity.WARN
    return None if result.passed else f"{result.description} {result.metadata['offenders'].value}"


def test_limits_of_rejects_and_of_photos_are_settings(finished_run, small_set: Path):
    rejects, species = sorted(TRUE_WARNINGS)
    assert "photos are rejects" in warned(rejects, finished_run[0], small_set)
    assert warned(rejects, finished_run[0], small_set, most_rejects=0.5) is None
    assert "species have fewer than 5 photos" in warned(species, finished_run[0], small_set)
    assert warned(species, finished_run[0], small_set, fewest_photos=2) is None


def test_drift_of_test_beyond_that_of_val(tmp_path: Path, small_set: Path):
    rng = np.random.default_rng(0)
    shifts = {"train": 0.0, "val": 0.2, "test": 2.0}
    for split, shift in shifts.items():
        vectors = rng.normal(size=(120, 8)) + shift * np.eye(8)[0]
        write(tmp_path / "dinov2_embeddings" / split, [vector_rows(vectors, split)])
    check = ("dinov2_embeddings", "test_resembles_train")
    assert "tells test's photos from train's with an AUC of 0.9" in warned(check, tmp_path, small_set)
    assert warned(check, tmp_path, small_set, most_drift=0.5) is None
    vectors = rng.normal(size=(120, 8))
    write(tmp_path / "dinov2_embeddings" / "test", [vector_rows(vectors, "test")])
    assert warned(check, tmp_path, small_set) is None


def test_one_species_for_all_is_no_balance(own_store: Path, small_set: Path):
    path = own_store / "submission" / "submission.csv"
    answers = read_submission(path)
    rare = next(iter(answers.values()))
    path.write_text(submission_csv(dict.fromkeys(answers, rare)))
    told = warned(("submission", "species_as_often_as_in_train"), own_store, small_set)
    assert f"class_id {rare} is 100.0% of the answers" in told


def test_a_check_that_fails_stops_what_is_downstream(
    own_store: Path, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    data = shutil.copytree(small_set, tmp_path / "data")
    train, val = (
        data / "metadata" / f"SnakeCLEF2023-{name}.csv" for name in ("TrainMetadata-iNat", "ValMetadata")
    )
    of_train, of_val = (
        next(csv.DictReader(path.read_text().splitlines()))["observation_id"] for path in (train, val)
    )
    val.write_text(val.read_text().replace(of_val, of_train))
    shutil.rmtree(own_store / "dct_embeddings" / "val")
    graph = definitions(data, own_store, demo_backbone)
    result = run_job(graph, "features", partition_key="val", raise_on_error=False)
    assert not result.success
    found = evaluations(result)["image_table", "observations_in_one_split"]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert f"observation {of_train} stands in train too" in found.metadata["offenders"].value
    assert made(result) == {"raw_images", "image_table"}
    assert not (own_store / "dct_embeddings" / "val").exists()


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}


def test_a_fault_of_another_split_is_told_and_does_not_stop_anything(
    own_store: Path, own_graph: dg.Definitions
):
    not_a_number(own_store)  # a fault of val, which this run does not make
    result = run_job(own_graph, "features", partition_key="test")
    assert result.success
    found = evaluations(result)
    assert {key for key, evaluation in found.items() if not evaluation.passed} >= TRUE_WARNINGS
    vectors = found["dinov2_embeddings", "vectors_sound"]
    assert not vectors.passed and "val" in vectors.description
    assert vectors.severity == dg.AssetCheckSeverity.WARN
    assert made(result) == {"raw_images", "image_table", "yolo_crops", *VECTORS}


def test_a_check_runs_on_its_own_over_all_splits(finished_run, small_set: Path, demo_backbone: Path):
    key = dg.AssetCheckKey(dg.AssetKey("dct_embeddings"), "vectors_sound")
    graph = definitions(small_set, finished_run[0], demo_backbone)
    ((name, found),) = evaluations(run_job(graph, dg.AssetSelection.checks(key))).items()
    assert name == ("dct_embeddings", "vectors_sound")
    assert found.passed
    assert found.description.endswith("Looked at: train, val, test.")


def test_with_crops_off_faults_of_their_table_stop_nothing(own_store: Path, small_set: Path):
    checks = {name: check for (asset, name), check in CHECKS.items() if asset == "crop_embeddings"}
    off = site(own_store, small_set)
    told = checks["vectors_sound"].result(off, SPLITS).description
    assert told == "Off: the store holds nothing of crop_embeddings to look at."
    shutil.copytree(own_store / "dct_embeddings", own_store / "crop_embeddings")
    on = replace(off, crops=Crops(mode="yolo"))
    assert all(check.result(on, SPLITS).passed for check in checks.values())
    write_again(own_store / "crop_embeddings" / "val", lambda rows: rows.slice(1))
    assert not checks["rows_accounted_for"].result(on, SPLITS).passed
    assert checks["rows_accounted_for"].result(off, SPLITS).passed


def test_every_check_has_its_line_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()
    assert all(f"`{check.name}`" in page for check in CHECKS.values())


def checked(job: str) -> list[str]:
    nodes = defs.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
    return sorted({key.asset_key.to_user_string() for key in nodes})


def test_jobs_check_what_they_make():
    features = sorted({"image_table", *VECTORS})
    assert checked("features") == features
    answers = ["species_classifier", "submission"]
    assert checked("snakeclef") == sorted([*features, *answers])
    assert checked("predict") == sorted([*features, "submission"])
    assert (checked("train"), checked("ablation")) == (answers, [])
