"""Backfills, schedules, slots and retries under a real daemon, which is killed where that may happen.

Each test has a deployment of its own, so that none fails because of another.
"""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from snake_assets.defs.assets.dependencies import FEATURE_TABLES
from snake_assets.defs.jobs import FEATURES, LADDER
from snake_assets_tests.deployment import Deployment
from snake_assets_tests.places import REPOSITORY, SPLITS
from snake_assets_tests.serving import apart, until

pytestmark = pytest.mark.daemon


@pytest.fixture
def deployment(featured: Path, demo_backbone: Path, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on a small drawn set whose store is empty."""
    settings = {
        "SNAKE_DATA": str(featured / "data"),
        "SNAKE_STORE": str(tmp_path / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
        "SNAKE_DEVICE": "cpu",
    }
    with (
        apart(tmp_path / "home", settings) as servers,
        dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance,
    ):
        yield Deployment(servers, instance, tmp_path / "store")


@pytest.fixture
def up_to_date(deployment: Deployment, featured: Path) -> Deployment:
    """The deployment with the features of all splits in its store, of whose runs it knows nothing."""
    shutil.copytree(featured / "store", deployment.store)
    return deployment


def test_a_backfill_of_everything_survives_the_death_of_the_daemon(deployment: Deployment):
    everything = dg.AssetSelection.all() - LADDER
    backfill = deployment.backfill(everything)
    deployment.until_tables(1)
    deployment.servers.kill("daemon")
    assert deployment.instance.get_backfill(backfill).status.value == "REQUESTED"
    deployment.servers.start_daemon()
    assert deployment.until_backfill_ends(backfill) == "COMPLETED_SUCCESS"
    by_split = {key.to_user_string() for key in FEATURES.resolve(REPOSITORY.asset_graph)}
    whole = {key.to_user_string() for key in everything.resolve(REPOSITORY.asset_graph)} - by_split
    once = [(asset, split) for asset in by_split for split in SPLITS] + [(asset, None) for asset in whole]
    assert deployment.materializations() == Counter(once)
    runs = deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    assert Counter(run.tags.get("dagster/partition") for run in runs)["train"] == 1
    assert {run.tags.get("dagster/partition") for run in runs} == {*SPLITS, None}
    assert all("dagster/asset_partition_range_start" not in run.tags for run in runs)
    assert (deployment.store / "submission" / "submission.csv").exists()


def test_the_schedule_asks_for_what_is_missing_and_a_second_tick_for_nothing(up_to_date: Deployment):
    up_to_date.forget("test")
    tick = up_to_date.switch_on("backfill_missing_splits")
    assert tick.status == TickStatus.SUCCESS
    assert [key.split(":")[0] for key in tick.run_keys] == ["test"]
    requests, reason = up_to_date.tick_by_hand("backfill_missing_splits")
    assert requests == [] and reason.count("is at it") == 1
    (run,) = tick.run_ids
    assert up_to_date.until_run_ends(run) == dg.DagsterRunStatus.SUCCESS
    assert up_to_date.tick_by_hand("backfill_missing_splits") == (
        [],
        "The features of every split that has photos are up to date.",
    )
    by_split = [key.to_user_string() for key in FEATURES.resolve(REPOSITORY.asset_graph)]
    assert up_to_date.materializations() == Counter((asset, "test") for asset in by_split)


@pytest.fixture
def at_work(up_to_date: Deployment) -> tuple[Deployment, str]:
    """The deployment and the id of a run that holds the slot of the accelerator, and has vectors to make."""
    for table in FEATURE_TABLES:
        shutil.rmtree(up_to_date.store / table / "val")
    run = up_to_date.launch(FEATURE_TABLES, "val")
    until(lambda: up_to_date.holder() == run, "the slot of the accelerator taken")
    return up_to_date, run


def test_a_cancelled_run_gives_its_slot_back(at_work: tuple[Deployment, str]):
    deployment, cancelled = at_work
    deployment.cancel(cancelled)
    assert deployment.until_run_ends(cancelled) == dg.DagsterRunStatus.CANCELED
    until(lambda: deployment.holder() is None, "the slot of the accelerator free")
    second = deployment.launch(FEATURE_TABLES, "val")
    assert deployment.until_run_ends(second) == dg.DagsterRunStatus.SUCCESS


def test_a_killed_run_is_told_of_and_started_again(at_work: tuple[Deployment, str]):
    deployment, killed = at_work
    (started,) = deployment.instance.all_logs(killed, of_type=dg.DagsterEventType.RUN_START)
    os.kill(started.dagster_event.pid, signal.SIGKILL)
    assert deployment.until_run_ends(killed) == dg.DagsterRunStatus.FAILURE

    def again() -> str | None:
        runs = deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": killed}))
        return runs[0].run_id if runs else None

    second = until(again, "the run started again")
    assert deployment.until_run_ends(second) == dg.DagsterRunStatus.SUCCESS
    page = deployment.store / "run_failures" / f"{killed}.md"
    until(page.exists, f"{page}")
    assert "Dagster starts the run again by itself" in page.read_text()
