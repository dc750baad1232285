"""Backfills and runs that are killed, under real servers that are started once for all tests.

The servers are those of deploy/local, and what Dagster remembers is in PostgreSQL.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from snake_assets.defs.assets.dependencies import FEATURE_TABLES
from snake_assets_tests.places import SPLITS
from snake_assets_tests.serving import PROJECT, Servers, apart, postgres, until

pytestmark = pytest.mark.daemon

# These load no model. A backfill of all assets is made in the browser's tests.
LIGHT = ("raw_images", "image_table", "yolo_crops")
LOCATION = {"repositoryLocationName": "snake_assets", "repositoryName": "__repository__"}
LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


class Deployment:
    """Servers that run apart, what their runs write, and what Dagster remembers of them."""

    def __init__(self, servers: Servers, instance: dg.DagsterInstance, store: Path) -> None:
        self.servers, self.instance, self.store = servers, instance, store

    def backfill(self, *assets: str) -> str:
        """What "Materialize all" does in the UI, for all splits; returns the backfill's id."""
        params = {"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": SPLITS}
        told = self.servers.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert told["__typename"] == "LaunchBackfillSuccess", told
        return str(told["backfillId"])

    def until_backfill_ends(self, backfill: str) -> str:
        def ended() -> str | None:
            status = self.instance.get_backfill(backfill).status.value
            return None if status in ("REQUESTED", "CANCELING", "FAILING") else status

        return until(ended, f"an end of backfill {backfill}")

    def launch(self, assets: Sequence[str], split: str) -> str:
        """Launch the job features for some of its assets of a split, without checks; returns the run's id."""
        params: dict[str, Any] = {
            "selector": {
                **LOCATION,
                "pipelineName": "features",
                "assetSelection": [{"path": [asset]} for asset in assets],
                "assetCheckSelection": [],
            },
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": split}]},
        }
        told = self.servers.ask(LAUNCH_RUN, params=params)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def until_run_ends(self, run: str) -> dg.DagsterRunStatus:
        def ended() -> dg.DagsterRunStatus | None:
            found = self.instance.get_run_by_id(run)
            return found.status if found.is_finished else None

        return until(ended, f"an end of run {run}")


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """PostgreSQL, and what restarts it."""
    with postgres() as database:
        yield database


@pytest.fixture(scope="module")
def servers(
    featured: Path,
    demo_backbone: Path,
    database: tuple[dict[str, str], Callable[[], None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("servers")
    settings = {
        **database[0],
        "SNAKE_DATA": str(featured / "data"),
        "SNAKE_STORE": str(root / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
        "SNAKE_DEVICE": "cpu",
    }
    with pytest.MonkeyPatch.context() as patch, apart(root / "home", settings) as servers:
        for name, value in database[0].items():
            patch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(root / "home")) as instance:
            assert "Postgres" in type(instance.event_log_storage).__name__
            yield Deployment(servers, instance, root / "store")


@pytest.fixture
def deployment(servers: Deployment, featured: Path) -> Deployment:
    """A deployment with the features of all splits in its store, of whose runs it knows nothing."""
    shutil.rmtree(servers.store, ignore_errors=True)
    shutil.copytree(featured / "store", servers.store)
    return servers


@pytest.fixture
def without_val(deployment: Deployment) -> Deployment:
    """The same without the embeddings of val."""
    for table in FEATURE_TABLES:
        shutil.rmtree(deployment.store / table / "val")
    return deployment


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


def test_a_killed_run_is_told_of_and_started_again(without_val: Deployment):
    killed = without_val.launch(FEATURE_TABLES, "val")
    kill(at_work(without_val, killed))
    assert without_val.until_run_ends(killed) == dg.DagsterRunStatus.FAILURE

    def again() -> str | None:
        runs = without_val.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": killed}))
        return runs[0].run_id if runs else None

    assert without_val.until_run_ends(until(again, "the run started again")) == dg.DagsterRunStatus.SUCCESS


def test_a_run_killed_in_a_terminal_holds_nothing_up(without_val: Deployment):
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "snake_assets.definitions"]
    command += ["--select", ",".join(FEATURE_TABLES), "--partition", "val"]
    environment = dict(without_val.servers.environment)
    before = {run.run_id for run in without_val.instance.get_runs()}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL) as terminal:

        def begun() -> str | None:
            runs = without_val.instance.get_runs()
            return next((run.run_id for run in runs if run.run_id not in before), None)

        killed = until(begun, "a run")
        at_work(without_val, killed)
        kill(terminal.pid)
    subprocess.run(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL, check=True)
    waiting = without_val.launch(FEATURE_TABLES, "val")
    assert without_val.until_run_ends(waiting) == dg.DagsterRunStatus.SUCCESS
    assert without_val.until_run_ends(killed) == dg.DagsterRunStatus.FAILURE


def test_a_backfill_survives_the_death_of_the_daemon_and_its_record_a_restart_of_the_database(
    deployment: Deployment, database: tuple[dict[str, str], Callable[[], None]]
):
    shutil.rmtree(deployment.store)
    deployment.servers.kill("daemon")
    backfill = deployment.backfill(*LIGHT)
    deployment.servers.start_daemon()  # it looks for backfills as it starts, and then twice a minute
    until(lambda: list(deployment.store.glob("*/*/_manifest.json")), "a table")
    deployment.servers.kill("daemon")
    assert deployment.instance.get_backfill(backfill).status.value == "REQUESTED"
    deployment.servers.start_daemon()
    assert deployment.until_backfill_ends(backfill) == "COMPLETED_SUCCESS"
    database[1]()
    runs = deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    made = [
        (event.asset_key.to_user_string(), event.partition)
        for run in runs
        for log in deployment.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        for event in [log.asset_materialization]
    ]
    assert Counter(made) == Counter((table, split) for table in LIGHT for split in SPLITS)
