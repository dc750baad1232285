"""Checks pass on what the platform makes, name what is planted, and stop what they must, in real runs."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from snake_assets.definitions import defs
from snake_assets.defs.checks import STEPS, Site, step, vector_checks
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.settings import Limits
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.submission import read_submission, submission_csv
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import definitions, run_job
from snake_assets_tests.written import vector_rows, vectors_of, with_vectors, write, write_again

SPLITS = ("train", "val", "test")
VECTORS = ("dinov2_embeddings", "dct_embeddings")
CROP_VECTORS = ("crop_embeddings",)
CHECKS = {(check.asset, check.name): check for checks in STEPS.values() for check in checks}
# What the drawn set is made with: four broken photos a split, and species with three photos.
TRUE_WARNINGS = {("image_table", "few_rejects"), ("image_table", "photos_for_every_species")}

Plant = Callable[[Path], None]


def run(definitions: dg.Definitions, job: str, **kwargs: object) -> dg.ExecuteInProcessResult:
    return run_job(definitions, job, raise_on_error=False, **kwargs)


def evaluations(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {
        (found.asset_key.to_user_string(), found.check_name): found
        for found in result.get_asset_check_evaluations()
    }


@pytest.fixture
def store(finished_run, tmp_path: Path) -> Path:
    """A store of one's own, to be spoilt."""
    shutil.copytree(finished_run[0], tmp_path / "store")
    return tmp_path / "store"


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


def change(store: Path, table: str, changed: Callable[[pa.Table], pa.Table]) -> None:
    write_again(store / table / "val", changed)


def with_first(column: str, value: object) -> Callable[[pa.Table], pa.Table]:
    """The rows with another value in a column of the first of them."""

    def changed(rows: pa.Table) -> pa.Table:
        values = pa.array([value, *rows[column].to_pylist()[1:]], rows.schema.field(column).type)
        return rows.set_column(rows.column_names.index(column), column, values)

    return changed


def not_a_number(store: Path) -> None:
    def changed(rows: pa.Table) -> pa.Table:
        vectors = vectors_of(rows, "patch_mean")
        vectors[3, 5] = np.nan
        return with_vectors(rows, "patch_mean", vectors)

    change(store, "dinov2_embeddings", changed)


def shared_observation(store: Path) -> None:
    of_train = open_table(store / "image_table" / "train").read(["observation_id"])["observation_id"][0]
    change(store, "image_table", with_first("observation_id", of_train.as_py()))


def twice(store: Path) -> None:
    change(store, "image_table", lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))


def shifted(store: Path) -> None:
    change(store, "dct_embeddings", lambda rows: rows.take([1, 0, *range(2, len(rows))]))


def other_backbone(store: Path) -> None:
    write_again(store / "dinov2_embeddings" / "val", recipe={"backbone": "another"})


def unanswered(store: Path) -> None:
    path = store / "submission" / "submission.csv"
    header, _, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *lines]))


def renumbered(store: Path) -> None:
    path = store / "submission" / "submission.csv"
    path.write_text(submission_csv(dict.fromkeys(read_submission(path), 12345)))


def one_lost(store: Path) -> None:
    change(store, "image_table", lambda rows: rows.slice(1))


def unknown_class(store: Path) -> None:
    change(store, "image_table", with_first("class_id", 9999))


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
    store: Path, small_set: Path, plant: Plant, asset: str, name: str, told: str
):
    check = CHECKS[asset, name]
    assert check.blocking
    plant(store)
    result = check.result(site(store, small_set), ["val"])
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert told in result.metadata["offenders"].value
    assert result.metadata["faults"].value >= 1


def test_a_fault_of_another_split_is_told_and_does_not_block(store: Path, small_set: Path):
    not_a_number(store)
    result = CHECKS["dinov2_embeddings", "vectors_sound"].result(site(store, small_set), ["train"])
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "val" in result.description


def test_no_more_than_twenty_offenders_are_named(store: Path, small_set: Path):
    write_again(store / "image_table" / "train", lambda rows: rows.slice(0, 30))
    result = CHECKS["image_table", "rows_accounted_for"].result(site(store, small_set), ["train"])
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


def test_one_species_for_all_is_no_balance(store: Path, small_set: Path):
    path = store / "submission" / "submission.csv"
    answers = read_submission(path)
    rare = next(iter(answers.values()))
    path.write_text(submission_csv(dict.fromkeys(answers, rare)))
    told = warned(("submission", "species_as_often_as_in_train"), store, small_set)
    assert f"class_id {rare} is 100.0% of the answers" in told


def test_a_check_that_fails_stops_what_is_downstream(
    store: Path, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    data = tmp_path / "data"
    shutil.copytree(small_set, data)
    train, val = (
        data / "metadata" / f"SnakeCLEF2023-{name}.csv" for name in ("TrainMetadata-iNat", "ValMetadata")
    )
    with train.open() as file:
        of_train = next(csv.DictReader(file))["observation_id"]
    with val.open() as file:
        of_val = next(csv.DictReader(file))["observation_id"]
    val.write_text(val.read_text().replace(of_val, of_train))
    shutil.rmtree(store / "dct_embeddings" / "val")
    result = run(definitions(data, store, demo_backbone), "features", partition_key="val")
    assert not result.success
    found = evaluations(result)["image_table", "observations_in_one_split"]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert f"observation {of_train} stands in train too" in found.metadata["offenders"].value
    assert {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()} == {
        "raw_images",
        "image_table",
    }
    assert not (store / "dct_embeddings" / "val").exists()


def test_a_warning_does_not_stop_anything(store: Path, small_set: Path, demo_backbone: Path):
    not_a_number(store)  # a fault of val, which this run does not make
    result = run(definitions(small_set, store, demo_backbone), "features", partition_key="test")
    assert result.success
    found = evaluations(result)
    assert {key for key, evaluation in found.items() if not evaluation.passed} >= TRUE_WARNINGS
    vectors = found["dinov2_embeddings", "vectors_sound"]
    assert not vectors.passed
    assert vectors.severity == dg.AssetCheckSeverity.WARN
    made_now = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert made_now == {"raw_images", "image_table", "yolo_crops", *VECTORS, *CROP_VECTORS}


def test_a_check_runs_on_its_own_over_all_splits(finished_run, small_set: Path, demo_backbone: Path):
    key = dg.AssetCheckKey(dg.AssetKey("dct_embeddings"), "vectors_sound")
    alone = dg.define_asset_job("alone", selection=dg.AssetSelection.checks(key))
    with_job = dg.Definitions.merge(
        definitions(small_set, finished_run[0], demo_backbone), dg.Definitions(jobs=[alone])
    )
    result = run(with_job, "alone")
    ((name, found),) = evaluations(result).items()
    assert name == ("dct_embeddings", "vectors_sound")
    assert found.passed
    assert found.description.endswith("Looked at: train, val, test.")


def test_tables_of_another_pass_are_checked_by_adding_their_names(
    store: Path, small_set: Path, tmp_path: Path
):
    checks = {check.name: check for check in vector_checks(["crop_embeddings"])}
    crops = step("crop_checks", list(checks.values()))
    assert {key.asset_key.to_user_string() for key in crops.check_keys} == {"crop_embeddings"}
    off = checks["vectors_sound"].result(site(store, small_set), SPLITS)
    assert off.passed
    assert off.description == "Off: the store holds nothing of crop_embeddings to look at."
    shutil.copytree(store / "dct_embeddings", store / "crop_embeddings")
    on = replace(site(store, small_set), crops=Crops(mode="yolo"))
    assert all(check.result(on, SPLITS).passed for check in checks.values())
    write_again(store / "crop_embeddings" / "val", lambda rows: rows.slice(1))
    assert not checks["rows_accounted_for"].result(on, SPLITS).passed
    # With crops off nothing reads the table, so its faults stop nothing.
    assert checks["rows_accounted_for"].result(site(store, small_set), SPLITS).passed


def test_every_check_explains_itself():
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()
    for check in CHECKS.values():
        node = defs.resolve_asset_graph().get(check.spec.key)
        assert node.blocking is check.blocking
        assert len(node.description) > 150 and f"`{check.name}`" in page
        assert ("When it fails" if check.blocking else "When it warns") in node.description


def checked(job: str) -> list[str]:
    nodes = defs.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
    return sorted({key.asset_key.to_user_string() for key in nodes})


def test_jobs_check_what_they_make():
    features = sorted({"image_table", *VECTORS, *CROP_VECTORS})
    assert checked("features") == features
    assert checked("snakeclef") == checked("predict") == sorted([*features, "submission"])
    assert checked("train") == checked("ablation") == []


def test_the_event_log_stays_small(finished_run):
    told = [
        json.dumps({key: str(value.value) for key, value in found.metadata.items()})
        for found in evaluations(finished_run[1]).values()
    ]
    assert sum(map(len, told)) < 40_000
