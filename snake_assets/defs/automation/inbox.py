"""The sensor of the inbox: it makes batches of new photos, and sees to it that every batch is answered.

What it decides on is in the store (identification/inbox.py); its cursor only keeps what the last look found,
and which batches it still waits for. So it may be killed, switched off or reset at any point, and two may
look at once.
"""

import json
from collections.abc import Set

import dagster as dg

from snake_assets.defs.assets.model_package import PACKAGE
from snake_assets.defs.automation.triggers import NOT_FINISHED, PARTITION_TAG
from snake_assets.defs.jobs import identify
from snake_assets.defs.lib.partitions import MOST_BATCHES, batches
from snake_assets.defs.resources.storage import Inbox, Store
from snake_assets.identification.batch import IDENTIFICATIONS
from snake_assets.identification.inbox import (
    ARRIVALS,
    COPY,
    batches_of,
    list_inbox,
    missed_in,
    new_files,
    read_arrivals,
    record,
)
from snake_assets.identification.package import PACKAGE_FILE
from snake_assets.storage.io import sizes
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import open_table

SECONDS = 30
# Of a run that the daemon means to start again.
RETRY_TAG = "dagster/will_retry"
# For reading new photos in one look; the code server is asked for an answer within 60.
READING_SECONDS = 20.0
# A batch of which so many runs were killed at work is left to a person.
MOST_KILLED = 12


def look(context: dg.SensorEvaluationContext, store: Store, inbox: Inbox) -> dg.SensorResult:
    """A batch of the photos that have settled, and a run for each batch that has no answers yet."""
    if not inbox.is_set:
        return dg.SensorResult(
            skip_reason=dg.SkipReason("SNAKE_INBOX is not set: there is no inbox to look at.")
        )
    if PACKAGE_FILE not in sizes(store.folder(PACKAGE)):
        return dg.SensorResult(
            skip_reason=dg.SkipReason(
                f"{store.folder(PACKAGE)} holds no model: run the job package first. Photos wait."
            )
        )
    root, folder = inbox.folder(), store.folder(ARRIVALS)
    state = json.loads(context.cursor) if context.cursor else {}
    waiting, missed, told = list[str](state.get("waiting", [])), list[tuple[str, str]](), list[str]()
    arrivals = read_arrivals(folder)
    for batch in [*waiting]:
        answers = store.folder(IDENTIFICATIONS, batch)
        if read_manifest(answers):
            waiting.remove(batch)
            answered = set(open_table(answers).read(["sha256"])["sha256"].to_pylist())
            missed += missed_in(batch, arrivals, answered)
    new, before = new_files(list_inbox(root), arrivals), set(state.get("seen", []))
    settled = [file for file in new if file.mark in before]
    if settled or missed:
        left = record(folder, root, settled, missed, READING_SECONDS)
        before_it, arrivals = len(arrivals), read_arrivals(folder)
        if copies := arrivals[before_it:]["event"].to_list().count(COPY):
            told.append(f"{copies} new files are copies of known photos.")
        told += [f"{left} more photos at the next look."] if left else []
    if len(new) > len(settled):
        told.append(f"{len(new) - len(settled)} new photos are looked at again, as they may be in copying.")
    made = batches_of(arrivals, state.get("last", ""))
    waiting += made
    requests, idle = [], dict[str, str]()
    for batch in waiting:
        # Another deployment may have answered it, or this one before it was reset.
        if batch in made and read_manifest(store.folder(IDENTIFICATIONS, batch)):
            continue
        # A daemon that was killed may have lost a run before it sent it, or the retry that it promised: what
        # two looks find so is asked for anew.
        runs = context.instance.get_run_records(
            dg.RunsFilter(job_name=identify.name, tags={PARTITION_TAG: batch})
        )
        last = runs[0].dagster_run if runs else None
        promised = last and last.is_finished and last.tags.get(RETRY_TAG) == "true"
        if last and (promised or last.status == dg.DagsterRunStatus.NOT_STARTED):
            idle[batch] = last.run_id
        lost = batch in idle and state.get("idle", {}).get(batch) == idle[batch]
        started = sum(run.start_time is not None for run in runs)
        if why := _why_not(context.instance, last, started) if last and not lost else None:
            told.append(f"{batch}: {why}")
        else:
            requests.append(dg.RunRequest(run_key=f"{batch}:{len(runs)}", partition_key=batch))
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=_keys(
            context.instance, {*made, *(one.partition_key for one in requests)}
        ),
        cursor=json.dumps(
            {
                "seen": [file.mark for file in new],
                "waiting": waiting,
                "idle": idle,
                "last": made[-1] if made else state.get("last", ""),
            }
        ),
        skip_reason=None if requests else dg.SkipReason(" ".join(told) or "No new photos."),
    )


def _why_not(instance: dg.DagsterInstance, last: dg.DagsterRun, started: int) -> str | None:
    """Why a batch without answers gets no run after its last one; None where it does."""
    if last.status in NOT_FINISHED or last.tags.get(RETRY_TAG) == "true":
        return f"run {last.run_id[:8]} is at it."
    # What a step says of itself it would say again; a run that was killed said nothing.
    failed = instance.all_logs(last.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    if not failed and last.status != dg.DagsterRunStatus.CANCELED and started < MOST_KILLED:
        return None
    return (
        f"run {last.run_id[:8]} ended as {last.status.value} without answers. Mend what it names, and "
        "re-execute it in the UI."
    )


def _keys(
    instance: dg.DagsterInstance, needed: Set[str | None]
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    """Add the keys of batches; of too many the oldest go, and their tables stay."""
    added = sorted(key for key in needed if key)
    if not added:
        return []
    keys = sorted({*instance.get_dynamic_partitions(batches.name or ""), *added})
    retired = keys[: max(0, len(keys) - MOST_BATCHES)]
    return [
        batches.build_add_request(added),
        *([batches.build_delete_request(retired)] if retired else []),
    ]


new_photos = dg.sensor(
    name="new_photos",
    job=identify,
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Every half minute: looks for new photos in SNAKE_INBOX, makes a batch of them once two "
    "looks have found them alike, and runs the job identify for it. A content that is answered already is "
    "not answered again. A batch whose run was killed is asked for again; one whose run failed is left to a "
    "person. If it does nothing, its ticks say why; if a tick fails, its error names the setting or the file "
    "that is wrong.",
)(look)
