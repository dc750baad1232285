"""What the sensors do: see raw data change, tell of failed runs, end runs whose process is gone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

import dagster as dg
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.definitions import build_definitions
from snake_assets.defs.automation import sensors
from snake_assets.defs.automation.orphaned_runs import end_orphans
from snake_assets.defs.automation.sensors import Settling
from snake_assets_tests.places import REPOSITORY, SPLITS, Place, change_a_photo, copy_of_the_data, moved


def settled(place: Place) -> str:
    """The cursor once two looks have found the same."""
    _, cursor = place.look()
    return place.look(cursor)[1]


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_a_state_is_dealt_with_once_and_only_after_two_looks_have_found_it(digests: Sequence[str]):
    known, dealt_with = Settling(), []
    for look, digest in enumerate(digests):
        known = known.look(digest)
        if known.is_due:
            assert look > 0 and digests[look - 1] == digest
            assert not dealt_with or dealt_with[-1] != digest
            dealt_with.append(digest)
            known = known.dealt_with()
        elif look > 0 and digests[look - 1] == digest:
            assert dealt_with[-1] == digest


def test_the_first_looks_ask_for_what_the_store_does_not_hold(place: Place):
    shutil.rmtree(place.store / "image_table" / "val")
    told, cursor = place.look()
    assert told.count("looked at again") == 3
    asked, cursor = place.look(cursor)
    assert list(asked) == ["val"]
    assert place.look(cursor)[0].count("unchanged") == 3


def test_a_changed_photo_asks_for_its_split_alone_once_it_has_settled(place: Place):
    cursor = settled(place)
    changed = change_a_photo(place, "test")
    told, cursor = changed.look(cursor)
    assert "test: changed; looked at again" in told
    asked, cursor = changed.look(cursor)
    assert list(asked) == ["test"]
    assert asked["test"].run_key.startswith("test:")
    assert changed.look(cursor)[0].count("unchanged") == 3


def test_a_copy_in_progress_starts_nothing(place: Place):
    cursor = settled(place)
    data = copy_of_the_data(place)
    growing = moved(place, data)
    photo = next((data / "val").rglob("*.jpg"))
    for number in range(4):
        shutil.copy(photo, photo.with_name(f"new-{number}.jpg"))
        told, cursor = growing.look(cursor)
        assert "val: changed" in told
    assert list(growing.look(cursor)[0]) == ["val"]


@pytest.mark.parametrize("name", ["train/SnakeCLEF2023-train.tar.gz", "private_testset.zip"])
def test_archives_count(place: Place, name: str):
    cursor = settled(place)
    data = copy_of_the_data(place)
    (data / name).write_bytes(b"an archive")
    told, _ = moved(place, data).look(cursor)
    split = "test" if "test" in name else "train"
    assert f"{split}: changed" in told


def test_a_split_that_is_being_run_is_asked_for_afterwards(place: Place):
    cursor = settled(place)
    changed = change_a_photo(place, "train")
    running = create_run_for_test(
        place.instance,
        job_name="features",
        tags={"dagster/partition": "train"},
        status=dg.DagsterRunStatus.STARTED,
    )
    _, cursor = changed.look(cursor)
    told, cursor = changed.look(cursor)
    assert "is at it" in told
    place.instance.report_run_canceled(running)
    assert list(changed.look(cursor)[0]) == ["train"]


def test_the_same_state_again_has_another_run_key(place: Place):
    shutil.rmtree(place.store / "image_table" / "val")
    first = place.look(place.look()[1])[0]["val"]
    place.run(first, dg.DagsterRunStatus.SUCCESS)
    second = place.look(place.look()[1])[0]["val"]
    assert second.run_key != first.run_key


def test_which_sensors_are_on():
    on = {
        name
        for name in ("raw_data_changed", "run_failed", "orphaned_runs")
        if REPOSITORY.get_sensor_def(name).default_status == dg.DefaultSensorStatus.RUNNING
    }
    assert on == {"run_failed", "orphaned_runs"}


def test_a_failed_run_leaves_a_page(empty: Place):
    data = copy_of_the_data(empty)
    (data / "metadata" / "venomous_status_list.csv").unlink()
    place = moved(empty, data)
    graph = build_definitions(resources=place.resources())
    result = graph.resolve_job_def("features").execute_in_process(
        instance=place.instance,
        partition_key="val",
        tags={"dagster/schedule_name": "backfill_missing_splits", "snake/why": "raw_images is missing"},
        raise_on_error=False,
    )
    assert not result.success
    with dg.build_run_status_sensor_context(
        "run_failed",
        result.get_run_failure_event(),
        place.instance,
        result.dagster_run,
        resources={"store": place.resources()["store"]},
    ).for_run_failure() as context:
        sensors.run_failed(context)
    page = (place.store / "run_failures" / f"{result.run_id}.md").read_text()
    assert page.startswith(f"# Run {result.run_id[:8]} of features (val) failed")
    assert "the schedule backfill_missing_splits: raw_images is missing" in page
    assert "`image_table`: " in page and "venomous_status_list.csv" in page
    assert "Traceback" not in page and "dagster._core" not in page
    assert f"/runs/{result.run_id}" in page and str(place.store) in page
    command = next(line.strip() for line in page.splitlines() if "job execute" in line)
    assert command.endswith("""-j features --tags '{"dagster/partition": "val"}'""")


def run_of_process(instance: dg.DagsterInstance, process: int, at: float | None = None) -> dg.DagsterRun:
    """A run that has started in a process, now or at a time."""
    run = create_run_for_test(instance, job_name="features", status=dg.DagsterRunStatus.STARTING)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name, message="", pid=process
    )
    instance.report_dagster_event(event, run.run_id, timestamp=at)
    return run


def test_a_run_whose_process_is_gone_ends(instance: dg.DagsterInstance):
    instance.wipe()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    orphan, alive = run_of_process(instance, gone.pid), run_of_process(instance, os.getpid())
    pools = instance.event_log_storage
    pools.set_concurrency_slots("accelerator", 1)
    assert pools.claim_concurrency_slot("accelerator", orphan.run_id, "embeddings").is_claimed
    assert end_orphans(instance) == [orphan.run_id]
    assert instance.get_run_by_id(orphan.run_id).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED
    assert pools.claim_concurrency_slot("accelerator", alive.run_id, "embeddings").is_claimed
    assert end_orphans(instance) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells one start of the system from another")
@pytest.mark.parametrize("jump", [3600.0, 40 * 365 * 86400.0, -3600.0])
def test_a_clock_that_jumps_makes_no_orphan_of_a_run_and_no_run_of_an_orphan(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, jump: float
):
    instance.wipe()
    assert end_orphans(instance) == []
    alive = run_of_process(instance, os.getpid())
    boot_time, clock = psutil._pslinux.boot_time, time.time
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time() + jump)
    monkeypatch.setattr("time.time", lambda: clock() + jump)
    assert end_orphans(instance) == []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as later:
        # Half an hour ago, by either clock, the number of this process was that of a run.
        for orphan_start in (clock() - 1800, clock() + jump - 1800):
            orphan = run_of_process(instance, later.pid, orphan_start)
            assert end_orphans(instance) == [orphan.run_id]
    assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED


def test_runs_of_other_machines_are_left_alone():
    with dg.DagsterInstance.ephemeral() as elsewhere:
        run_of_process(elsewhere, 2**22 + 1)
        assert end_orphans(elsewhere) == []


def test_cursors_are_json(place: Place):
    assert set(json.loads(place.look()[1])) == set(SPLITS)
