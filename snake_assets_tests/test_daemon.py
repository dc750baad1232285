"""Backfills, schedules, slots and retries under a real daemon, which is killed where that may happen."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from snake_assets.jobs import FEATURES, LADDER
from snake_assets_tests.places import REPOSITORY, SPLITS
from snake_assets_tests.serving import Servers, apart, until

pytestmark = pytest.mark.daemon

LOCATION = {"repositoryLocationName": "snake_assets", "repositoryName": "__repository__"}
QUICK = {"ops": {"species_classifier": {"config": {"feature_sets": ["cls"], "folds": 2}}}}
SECONDS = 400.0
LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = """mutation($id: String!) { terminateRun(runId: $id) { __typename } }"""
START_SCHEDULE = """mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
  __typename ... on PythonError { message } } }"""

TRY_SCHEDULE = """mutation($selector: ScheduleSelector!, $at: Float!) {
  scheduleDryRun(selectorData: $selector, timestamp: $at) {
    __typename ... on PythonError { message }
    ... on DryRunInstigationTick {
      evaluationResult { skipReason runRequests { runKey } error { message } } } } }"""


class Deployment:
    """Servers that run apart, what their runs write, and what Dagster remembers of them."""

    def __init__(self, servers: Servers, instance: dg.DagsterInstance, store: Path) -> None:
        self.servers, self.instance, self.store = servers, instance, store

    def forget(self, *splits: str) -> None:
        """Remove what the store holds of some splits."""
        for split in splits:
            for table in self.store.glob(f"*/{split}"):
                shutil.rmtree(table)

    def backfill(self, selection: dg.AssetSelection) -> str:
        """What "Materialize all" does in the UI, for all splits; returns the backfill's id."""
        keys = selection.resolve(REPOSITORY.asset_graph)
        params = {
            "assetSelection": [{"path": list(key.path)} for key in keys],
            "partitionNames": SPLITS,
            "runConfigData": QUICK if dg.AssetKey("species_classifier") in keys else {},
        }
        told = self.servers.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert told["__typename"] == "LaunchBackfillSuccess", told
        return str(told["backfillId"])

    def until_backfill_ends(self, backfill: str, seconds: float = SECONDS) -> str:
        def ended() -> str | None:
            status = self.instance.get_backfill(backfill).status.value
            return None if status in ("REQUESTED", "CANCELING", "FAILING") else status

        return until(ended, f"an end of backfill {backfill}", seconds)

    def launch(self, split: str) -> str:
        """Launch the job features for a split, as the launchpad does; returns the run's id."""
        params: dict[str, Any] = {
            "selector": {**LOCATION, "pipelineName": "features"},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": split}]},
        }
        told = self.servers.ask(LAUNCH_RUN, params=params)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def until_run_ends(self, run: str) -> dg.DagsterRunStatus:
        def ended() -> dg.DagsterRunStatus | None:
            found = self.instance.get_run_by_id(run)
            return found.status if found.is_finished else None

        return until(ended, f"an end of run {run}", SECONDS)

    def holder(self) -> str | None:
        """The run that holds the slot of the accelerator."""
        slots = self.instance.event_log_storage.get_concurrency_info("accelerator").claimed_slots
        return slots[0].run_id if slots else None

    def switch_on(self, schedule: str) -> InstigatorTick:
        """Switch a schedule on as if that had been before the full hour; returns the tick of that hour."""
        self.servers.kill("daemon")
        told = self.servers.ask(START_SCHEDULE, selector={**LOCATION, "scheduleName": schedule})
        assert told["startSchedule"]["__typename"] == "ScheduleStateResult", told
        (state,) = (state for state in self.instance.all_instigator_state() if state.name == schedule)
        full_hour = time.time() // 3600 * 3600
        before = state.instigator_data._replace(start_timestamp=full_hour - 60)
        self.instance.update_instigator_state(state.with_data(before))
        self.servers.start_daemon()
        self.servers.until_healthy()

        def ticked() -> InstigatorTick | None:
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return ticks[0] if ticks and ticks[0].is_completed else None

        return until(ticked, f"a tick of {schedule}", SECONDS)

    def tick_by_hand(self, schedule: str) -> tuple[list[str], str | None]:
        """What "Test schedule" shows in the UI: the run keys of a tick now, or why it has none."""
        told = self.servers.ask(
            TRY_SCHEDULE, selector={**LOCATION, "scheduleName": schedule}, at=time.time()
        )["scheduleDryRun"]
        result = told["evaluationResult"]
        assert not result["error"], result
        return [request["runKey"] for request in result["runRequests"] or []], result["skipReason"]

    def materializations(self, since: float = 0.0) -> Counter[tuple[str, str | None]]:
        """How often each split of each asset was materialized."""
        made: Counter[tuple[str, str | None]] = Counter()
        for key in REPOSITORY.asset_graph.materializable_asset_keys:
            for record in self.instance.fetch_materializations(key, limit=100).records:
                if record.timestamp >= since:
                    made[key.to_user_string(), record.partition_key] += 1
        return made


@pytest.fixture(scope="module")
def deployment(
    small_set: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A deployment on a small drawn set whose store is empty at first."""
    root = tmp_path_factory.mktemp("deployment")
    settings = {
        "SNAKE_DATA": str(small_set),
        "SNAKE_STORE": str(root / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
        "SNAKE_DEVICE": "cpu",
    }
    with (
        apart(root / "home", settings) as servers,
        dg.DagsterInstance.from_config(str(root / "home")) as instance,
    ):
        yield Deployment(servers, instance, root / "store")


def test_a_backfill_of_everything_survives_the_death_of_the_daemon(deployment: Deployment):
    everything = dg.AssetSelection.all() - LADDER
    backfill = deployment.backfill(everything)
    until(lambda: deployment.materializations(), "a first table", SECONDS)
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


def test_the_schedule_asks_for_what_is_missing_and_a_second_tick_for_nothing(deployment: Deployment):
    deployment.forget("val", "test")
    missing = [split for split in SPLITS if not (deployment.store / "raw_images" / split).exists()]
    began = time.time()
    tick = deployment.switch_on("backfill_missing_splits")
    assert tick.status == TickStatus.SUCCESS
    assert [key.split(":")[0] for key in tick.run_keys] == missing
    requests, reason = deployment.tick_by_hand("backfill_missing_splits")
    assert requests == [] and reason.count("is at it") == len(missing)
    for run in tick.run_ids:
        assert deployment.until_run_ends(run) == dg.DagsterRunStatus.SUCCESS
    assert deployment.tick_by_hand("backfill_missing_splits") == (
        [],
        "The features of every split that has photos are up to date.",
    )
    by_split = [key.to_user_string() for key in FEATURES.resolve(REPOSITORY.asset_graph)]
    made = deployment.materializations(began)
    assert made == Counter([(asset, split) for asset in by_split for split in missing])


def test_a_cancelled_run_gives_its_slot_back(deployment: Deployment):
    deployment.forget("train")
    cancelled = deployment.launch("train")
    until(lambda: deployment.holder() == cancelled, "the slot of the accelerator taken", SECONDS)
    deployment.servers.ask(TERMINATE, id=cancelled)
    assert deployment.until_run_ends(cancelled) == dg.DagsterRunStatus.CANCELED
    until(lambda: deployment.holder() is None, "the slot of the accelerator free", SECONDS)
    assert deployment.until_run_ends(deployment.launch("train")) == dg.DagsterRunStatus.SUCCESS


def test_a_killed_run_is_told_of_and_started_again(deployment: Deployment):
    deployment.forget("val")
    killed = deployment.launch("val")
    until(lambda: deployment.holder() == killed, "the slot of the accelerator taken", SECONDS)
    (started,) = deployment.instance.all_logs(killed, of_type=dg.DagsterEventType.RUN_START)
    os.kill(started.dagster_event.pid, signal.SIGKILL)
    assert deployment.until_run_ends(killed) == dg.DagsterRunStatus.FAILURE

    def again() -> str | None:
        runs = deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": killed}))
        return runs[0].run_id if runs else None

    second = until(again, "the run started again", SECONDS)
    assert deployment.until_run_ends(second) == dg.DagsterRunStatus.SUCCESS
    page = deployment.store / "run_failures" / f"{killed}.md"
    until(page.exists, f"{page}", SECONDS)
    assert "Dagster starts the run again by itself" in page.read_text()
