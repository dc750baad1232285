"""Backfills, schedules and runs that are killed, under real servers that are started once for all tests."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from snake_assets.defs.assets.dependencies import FEATURE_TABLES
from snake_assets_tests.deployment import Deployment
from snake_assets_tests.places import REPOSITORY, SPLITS
from snake_assets_tests.serving import PROJECT, apart, until

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def servers(
    featured: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("servers")
    settings = {
        "SNAKE_DATA": str(featured / "data"),
        "SNAKE_STORE": str(root / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
        "SNAKE_DEVICE": "cpu",
    }
    with (
        apart(root / "home", settings) as servers,
        dg.DagsterInstance.from_config(str(root / "home")) as instance,
    ):
        yield Deployment(servers, instance, root / "store")


@pytest.fixture
def deployment(servers: Deployment, featured: Path) -> Deployment:
    """A deployment with the features of all splits in its store, of whose runs it knows nothing."""
    shutil.rmtree(servers.store, ignore_errors=True)
    shutil.copytree(featured / "store", servers.store)
    return servers


def at_work(deployment: Deployment, run: str) -> int:
    """The process of a run that makes vectors now."""
    started = until(
        lambda: deployment.instance.all_logs(run, of_type=dg.DagsterEventType.RUN_START), "a start"
    )
    until(lambda: deployment.instance.all_logs(run, of_type=dg.DagsterEventType.STEP_START), "a step")
    return int(started[0].dagster_event.pid)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(process: int) -> None:
    """End a run as a machine without memory does, and return when its steps have ended too."""
    steps = psutil.Process(process).children(recursive=True)
    os.kill(process, signal.SIGKILL)
    until(lambda: not any(map(alive, steps)), "an end of all steps")


def test_a_killed_run_is_told_of_and_started_again(deployment: Deployment):
    for table in FEATURE_TABLES:
        shutil.rmtree(deployment.store / table / "val")
    killed = deployment.launch(FEATURE_TABLES, "val")
    kill(at_work(deployment, killed))
    assert deployment.until_run_ends(killed) == dg.DagsterRunStatus.FAILURE

    def again() -> str | None:
        runs = deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": killed}))
        return runs[0].run_id if runs else None

    assert deployment.until_run_ends(until(again, "the run started again")) == dg.DagsterRunStatus.SUCCESS


def test_a_run_killed_in_a_terminal_holds_nothing_up(deployment: Deployment):
    for table in FEATURE_TABLES:
        shutil.rmtree(deployment.store / table / "val")
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "snake_assets.definitions"]
    command += ["--select", ",".join(FEATURE_TABLES), "--partition", "val"]
    environment = dict(deployment.servers.environment)
    before = {run.run_id for run in deployment.instance.get_runs()}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL) as terminal:

        def begun() -> str | None:
            return next(
                (run.run_id for run in deployment.instance.get_runs() if run.run_id not in before), None
            )

        killed = until(begun, "a run")
        at_work(deployment, killed)
        kill(terminal.pid)
    subprocess.run(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL, check=True)
    waiting = deployment.launch(FEATURE_TABLES, "val")
    assert deployment.until_run_ends(waiting) == dg.DagsterRunStatus.SUCCESS
    assert deployment.until_run_ends(killed) == dg.DagsterRunStatus.FAILURE


def test_the_schedule_asks_for_what_is_missing_and_a_second_tick_for_nothing(deployment: Deployment):
    deployment.forget("test")
    tick = deployment.switch_on("backfill_missing_splits")
    assert [key.split(":")[0] for key in tick.run_keys] == ["test"]
    (run,) = tick.run_ids
    assert deployment.until_run_ends(run) == dg.DagsterRunStatus.SUCCESS
    assert deployment.tick_by_hand("backfill_missing_splits") == (
        [],
        "The features of every split that has photos are up to date.",
    )


def test_a_backfill_survives_the_death_of_the_daemon(deployment: Deployment):
    shutil.rmtree(deployment.store)
    wanted, before = dg.AssetSelection.assets("submission").upstream(), deployment.materializations()
    backfill = deployment.backfill(wanted)
    deployment.until_tables(1)
    deployment.servers.kill("daemon")
    assert deployment.instance.get_backfill(backfill).status.value == "REQUESTED"
    deployment.servers.start_daemon()
    assert deployment.until_backfill_ends(backfill) == "COMPLETED_SUCCESS"
    graph = REPOSITORY.asset_graph
    once = [
        (key.to_user_string(), split)
        for key in wanted.resolve(graph)
        for split in (SPLITS if graph.get(key).is_partitioned else [None])
    ]
    assert deployment.materializations() - before == Counter(once)
    assert (deployment.store / "submission" / "submission.csv").exists()
