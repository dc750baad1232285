"""What the sensors do: see raw data change, end runs whose process is gone."""

import json
import os
import shutil
import subprocess
import sys
import time

import dagster as dg
import psutil
import pytest

from snake_assets_tests.places import REPOSITORY, Place, change_a_photo, copy_of_the_data, create_run, moved


def settled(place: Place) -> str:
    """The cursor once two looks have found the same."""
    _, cursor = place.look()
    return place.look(cursor)[1]


def test_the_first_looks_ask_for_what_the_store_does_not_hold(place: Place):
    shutil.rmtree(place.store / "image_table" / "val")
    told, cursor = place.look()
    assert told.count("looked at again") == 3
    asked, cursor = place.look(cursor)
    assert list(asked) == ["val"]
    assert place.look(cursor)[0].count("unchanged") == 3


def test_what_changed_asks_for_its_split_alone_once_it_has_settled(place: Place):
    cursor = settled(place)
    data = copy_of_the_data(place)
    growing = moved(place, data)
    photo = next((data / "val").rglob("*.jpg"))
    for number in range(4):
        shutil.copy(photo, photo.with_name(f"new-{number}.jpg"))
        told, cursor = growing.look(cursor)
        assert "val: changed" in told
    asked, cursor = growing.look(cursor)
    assert list(asked) == ["val"]
    assert growing.look(cursor)[0].count("unchanged") == 3


def test_a_split_that_is_being_run_is_asked_for_afterwards(place: Place):
    cursor = settled(place)
    changed = change_a_photo(place, "train")
    running = create_run(
        place.instance, "features", dg.DagsterRunStatus.STARTED, {"dagster/partition": "train"}
    )
    _, cursor = changed.look(cursor)
    told, cursor = changed.look(cursor)
    assert "is at it" in told
    place.instance.report_run_canceled(running)
    assert list(changed.look(cursor)[0]) == ["train"]


def run_of_process(instance: dg.DagsterInstance, process: int, at: float | None = None) -> dg.DagsterRun:
    """A run that has started in a process, now or at a time."""
    run = create_run(instance, "features", dg.DagsterRunStatus.STARTING)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name, message="", pid=process
    )
    instance.report_dagster_event(event, run.run_id, timestamp=at)
    return run


def look_for_orphans(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[str, str | None]:
    """What a look of `orphaned_runs` says, and the next cursor."""
    with dg.build_sensor_context(instance, cursor=cursor, repository_def=REPOSITORY) as context:
        told = REPOSITORY.get_sensor_def("orphaned_runs").evaluate_tick(context)
    return told.skip_message, told.cursor


def test_a_run_whose_process_is_gone_ends(instance: dg.DagsterInstance):
    instance.wipe()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    orphan, alive = run_of_process(instance, gone.pid), run_of_process(instance, os.getpid())
    told, cursor = look_for_orphans(instance)
    assert told == f"Ended: {orphan.run_id}."
    assert instance.get_run_by_id(orphan.run_id).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED
    assert look_for_orphans(instance, cursor)[0] == "Every run has its process."


def test_a_number_that_another_process_has_now_is_no_process_of_the_run(instance: dg.DagsterInstance):
    instance.wipe()
    long_ago = run_of_process(instance, os.getpid(), at=time.time() - 10 * 86400)
    assert long_ago.run_id in look_for_orphans(instance)[0]
    seen = run_of_process(instance, os.getpid())
    cursor = json.dumps({seen.run_id: [os.getpid(), 0.5]})
    assert seen.run_id in look_for_orphans(instance, cursor)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell the time of their start differently")
@pytest.mark.parametrize("jump", [3600.0, 40 * 365 * 86400.0, -3600.0])
@pytest.mark.fault("a clock that jumps")
def test_a_clock_that_jumps_makes_no_orphan_of_a_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, jump: float
):
    instance.wipe()
    run_of_process(instance, os.getpid())
    _, cursor = look_for_orphans(instance)
    boot_time = psutil._pslinux.boot_time
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time() + jump)
    assert look_for_orphans(instance, cursor)[0] == "Every run has its process."


def test_runs_of_other_machines_are_left_alone():
    with dg.DagsterInstance.ephemeral() as elsewhere:
        run_of_process(elsewhere, 2**22 + 1)
        assert look_for_orphans(elsewhere)[0] == "Runs are not processes of this machine."
