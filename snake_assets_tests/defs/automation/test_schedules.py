"""What the schedules ask for: judged by the files and the store as they are, and never twice."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import ScheduleExecutionError

from snake_assets.defs.automation import staleness
from snake_assets_tests.places import (
    EVERY_SPLIT,
    REPOSITORY,
    SPLITS,
    Place,
    change_a_photo,
    copy_of_the_data,
    create_run,
    moved,
)


def test_nothing_is_asked_for_where_everything_is_up_to_date(place: Place):
    assert place.tick() == "The features of every split that has photos are up to date."


def test_every_missing_split_is_a_run_of_its_own(empty: Place):
    asked = empty.tick()
    assert list(asked) == SPLITS
    assert all("raw_images is missing" in request.tags["snake/why"] for request in asked.values())
    assert REPOSITORY.get_schedule_def("backfill_missing_splits").job_name == "features"


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_a_second_tick_asks_for_nothing_while_the_first_runs_go_on(empty: Place, status: dg.DagsterRunStatus):
    for request in empty.tick().values():
        empty.run(request, status)
    told = empty.tick()
    assert all(f"{split}: " in told for split in SPLITS) and "is at it" in told


def test_a_run_of_all_splits_counts_for_each(empty: Place):
    create_run(empty.instance, "snakeclef", dg.DagsterRunStatus.STARTED, EVERY_SPLIT)
    assert "is at it" in empty.tick()


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_what_failed_is_not_tried_again_until_something_changes(place: Place, status: dg.DagsterRunStatus):
    shutil.rmtree(place.store / "image_table" / "val")
    place.run(place.tick()["val"], status)
    told = place.tick()
    assert f"ended as {status.value}" in told and "re-execute" in told
    changed = change_a_photo(place, "val")
    assert list(changed.tick()) == ["val"]


def test_what_was_removed_after_a_run_is_asked_for_again(place: Place):
    shutil.rmtree(place.store / "dct_embeddings" / "val")
    first = place.tick()
    assert list(first) == ["val"]
    place.run(first["val"], dg.DagsterRunStatus.SUCCESS)
    assert list(place.tick()) == ["val"]


@pytest.mark.parametrize("removed", ["raw_images", "image_table", "dinov2_embeddings", "dct_embeddings"])
def test_a_table_that_is_gone_or_lacks_a_shard_is_named(place: Place, removed: str):
    (place.store / removed / "test" / "part-00000.parquet").unlink()
    asked = place.tick()
    assert list(asked) == ["test"]
    assert removed in asked["test"].tags["snake/why"]


def test_a_photo_that_changed_is_one_split(place: Place):
    assert list(change_a_photo(place, "train").tick()) == ["train"]


def test_metadata_that_changed_is_one_split(place: Place):
    data = copy_of_the_data(place)
    metadata = data / "metadata" / "SnakeCLEF2024-TestMetadata.csv"
    metadata.write_text("\n".join(metadata.read_text().splitlines()[:-1]) + "\n")
    asked = moved(place, data).tick()
    assert list(asked) == ["test"]
    assert "image_table" in asked["test"].tags["snake/why"]


def test_metadata_with_a_fault_is_asked_for_once_so_that_the_run_names_it(place: Place):
    data = copy_of_the_data(place)
    (data / "metadata" / "SnakeCLEF2023-ValMetadata.csv").write_text("nothing,of,use\n")
    faulty = moved(place, data)
    asked = faulty.tick()
    assert list(asked) == ["val"]
    assert "SnakeCLEF2023-ValMetadata.csv" in asked["val"].tags["snake/why"]
    faulty.run(asked["val"], dg.DagsterRunStatus.FAILURE)
    assert "ended as FAILURE" in faulty.tick()


def test_other_weights_make_every_split_stale(place: Place, tmp_path: Path):
    other = shutil.copytree(place.backbone, tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text() + "\n")
    asked = Place(place.data, place.store, other, place.instance).tick()
    assert list(asked) == SPLITS
    assert all("another backbone" in request.tags["snake/why"] for request in asked.values())


def test_another_version_of_the_code_makes_every_split_stale(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(staleness, "EMBEDDING_VERSION", 10_000)
    assert list(place.tick()) == SPLITS


def test_a_split_without_any_raw_data_is_left_alone(empty: Place):
    data = copy_of_the_data(empty)
    shutil.rmtree(data / "val")
    assert list(moved(empty, data).tick()) == ["train", "test"]


def test_a_wrong_setting_fails_the_tick_with_its_message(place: Place, tmp_path: Path):
    with pytest.raises(ScheduleExecutionError) as caught:
        Place(tmp_path / "none", place.store, place.backbone, place.instance).tick()
    assert f"SNAKE_DATA={tmp_path / 'none'} is not a folder" in str(caught.value.__cause__)


def test_the_submission_waits_for_the_features(empty: Place):
    assert "The features of train come first" in empty.tick("refresh_submission")


def test_the_submission_is_asked_for_once(place: Place):
    asked = place.tick("refresh_submission")
    assert list(asked) == [None]
    assert REPOSITORY.get_schedule_def("refresh_submission").job_name == "snakeclef"
    create_run(place.instance, "snakeclef", dg.DagsterRunStatus.STARTED, asked[None].tags)
    assert "is at it" in place.tick("refresh_submission")


def test_schedules_are_off_until_somebody_switches_them_on():
    for schedule in REPOSITORY.schedule_defs:
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
