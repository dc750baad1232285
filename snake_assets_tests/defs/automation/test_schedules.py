"""What the schedules ask for: judged by the files and the store as they are, and never twice."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import ScheduleExecutionError

from snake_assets.defs.automation import staleness
from snake_assets_tests.places import (
    EVERY_SPLIT,
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


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_a_second_tick_asks_for_nothing_while_the_first_runs_go_on(empty: Place, status: dg.DagsterRunStatus):
    for request in empty.tick().values():
        empty.run(request, status)
    told = empty.tick()
    assert all(f"{split}: " in told for split in SPLITS) and "is at it" in told
    # A run of all splits counts for each.
    empty.instance.wipe()
    create_run(empty.instance, "snakeclef", status, EVERY_SPLIT)
    assert "is at it" in empty.tick()


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_what_failed_is_not_tried_again_until_something_changes(place: Place, status: dg.DagsterRunStatus):
    shutil.rmtree(place.store / "image_table" / "val")
    place.run(place.tick()["val"], status)
    told = place.tick()
    assert f"ended as {status.value}" in told and "re-execute" in told
    changed = change_a_photo(place, "val")
    assert list(changed.tick()) == ["val"]


@pytest.mark.parametrize("removed", ["raw_images", "image_table", "dinov2_embeddings", "dct_embeddings"])
def test_a_table_that_lacks_a_shard_is_named_and_asked_for_whenever_that_happens(place: Place, removed: str):
    (place.store / removed / "test" / "part-00000.parquet").unlink()
    asked = place.tick()
    assert list(asked) == ["test"]
    assert removed in asked["test"].tags["snake/why"]
    place.run(asked["test"], dg.DagsterRunStatus.SUCCESS)
    assert list(place.tick()) == ["test"]


def test_metadata_that_changed_is_one_split_and_a_fault_is_asked_for_once_so_that_the_run_names_it(
    place: Place,
):
    data = copy_of_the_data(place)
    test, val = (data / "metadata" / f"SnakeCLEF{name}Metadata.csv" for name in ("2024-Test", "2023-Val"))
    test.write_text("\n".join(test.read_text().splitlines()[:-1]) + "\n")
    changed = moved(place, data)
    asked = changed.tick()
    assert list(asked) == ["test"]
    assert "image_table" in asked["test"].tags["snake/why"]
    val.write_text("nothing,of,use\n")
    asked = changed.tick()
    assert list(asked) == ["val", "test"]
    assert val.name in asked["val"].tags["snake/why"]
    changed.run(asked["val"], dg.DagsterRunStatus.FAILURE)
    assert list(changed.tick()) == ["test"]


def test_other_weights_or_another_version_of_the_code_make_every_split_stale(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = shutil.copytree(place.backbone, tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text() + "\n")
    asked = Place(place.data, place.store, other, place.instance).tick()
    assert list(asked) == SPLITS
    assert all("another backbone" in request.tags["snake/why"] for request in asked.values())
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


def test_the_submission_waits_for_the_features_and_is_asked_for_once(place: Place, tmp_path: Path):
    without = Place(place.data, tmp_path / "none", place.backbone, place.instance)
    assert "The features of train come first" in without.tick("refresh_submission")
    asked = place.tick("refresh_submission")
    assert list(asked) == [None]
    create_run(place.instance, "snakeclef", dg.DagsterRunStatus.STARTED, asked[None].tags)
    assert "is at it" in place.tick("refresh_submission")
