"""A deployment as its users meet it: what they launch through its webserver, and what comes of it."""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from snake_assets_tests.places import REPOSITORY, SPLITS
from snake_assets_tests.serving import Servers, until

LOCATION = {"repositoryLocationName": "snake_assets", "repositoryName": "__repository__"}
QUICK = {"ops": {"species_classifier": {"config": {"folds": 2}}}}
LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
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

    def forget(self, split: str) -> None:
        """Remove what the store holds of a split."""
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

    def until_tables(self, count: int) -> None:
        """Return when the store holds so many tables, each of a split."""
        until(lambda: len(list(self.store.glob("*/*/_manifest.json"))) >= count, f"{count} tables")

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

    def switch_on(self, schedule: str) -> Any:
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

        def ticked() -> Any:
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return ticks[0] if ticks and ticks[0].is_completed else None

        return until(ticked, f"a tick of {schedule}")

    def tick_by_hand(self, schedule: str) -> tuple[list[str], str | None]:
        """What "Test schedule" shows in the UI: the run keys of a tick now, or why it has none."""
        told = self.servers.ask(
            TRY_SCHEDULE, selector={**LOCATION, "scheduleName": schedule}, at=time.time()
        )["scheduleDryRun"]
        result = told["evaluationResult"]
        assert not result["error"], result
        return [request["runKey"] for request in result["runRequests"] or []], result["skipReason"]

    def materializations(self) -> Counter[tuple[str, str | None]]:
        """How often each split of each asset was materialized."""
        made: Counter[tuple[str, str | None]] = Counter()
        for key in REPOSITORY.asset_graph.materializable_asset_keys:
            for record in self.instance.fetch_materializations(key, limit=100).records:
                made[key.to_user_string(), record.partition_key] += 1
        return made
