"""Asking for runs: what for, and never twice for the same state of the same split."""

from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from snake_assets.snakeclef.metadata import SPLITS

STATE_TAG, WHY_TAG = "snake/state", "snake/why"


@dataclass(frozen=True)
class Wish:
    """A run that is wanted.

    Attributes:
        job: its name.
        split: its partition; None for a job without.
        state: digest of everything that the run's results would be made from.
        why: in one clause.
    """

    job: str
    split: str | None
    state: str
    why: str


@dataclass(frozen=True)
class Refusal:
    """Why no run is asked for, in one sentence; `for_now` where that passes by itself."""

    why: str
    for_now: bool


def ask(instance: dg.DagsterInstance, wish: Wish) -> dg.RunRequest | Refusal:
    """The request for a run, or why none is made.

    None is made while another run or a backfill is at it, nor when the last run for the same state failed or
    was cancelled: it would fail again. A person may re-execute that one; a change makes another state.
    """
    about = wish.split or wish.job
    if busy := _busy(instance, wish.split):
        return Refusal(f"{about}: {wish.why}; {busy} is at it.", for_now=True)
    tags = {STATE_TAG: wish.state} | ({PARTITION_NAME_TAG: wish.split} if wish.split else {})
    earlier = instance.get_runs(dg.RunsFilter(job_name=wish.job, tags=tags))
    if earlier and not earlier[0].is_success:
        return Refusal(
            f"{about}: {wish.why}; run {earlier[0].run_id[:8]} for just this state ended as "
            f"{earlier[0].status.value}. Mend what it names, or re-execute it in the UI.",
            for_now=False,
        )
    # Earlier runs succeeded and their results are gone: what they have made was removed, or was another's.
    key = f"{about}:{wish.state[:16]}:{len(earlier)}"
    return dg.RunRequest(
        run_key=key, partition_key=wish.split, tags={STATE_TAG: wish.state, WHY_TAG: wish.why[:200]}
    )


def _busy(instance: dg.DagsterInstance, split: str | None) -> str | None:
    """What writes the split now, or is about to; without a split, whatever runs."""
    # Here, because it would load half of the daemon with the code location.
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED]))
    if backfills:
        return f"backfill {backfills[0].backfill_id}"
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        if split is None or split in _splits_of(run):
            return f"run {run.run_id[:8]}"
    return None


def _splits_of(run: dg.DagsterRun) -> tuple[str, ...]:
    one = run.tags.get(PARTITION_NAME_TAG)
    if one is not None:
        return (one,)
    first, last = run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    if first in SPLITS and last in SPLITS:
        return SPLITS[SPLITS.index(first) : SPLITS.index(last) + 1]
    return ()
