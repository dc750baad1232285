"""Sensors: one sees raw data change, one ends runs whose process is gone."""

import json

import dagster as dg
import psutil

from snake_assets.defs.automation.schedules import AT_WORK, busy, request
from snake_assets.defs.automation.staleness import SoughtBackbone, stale_features
from snake_assets.defs.jobs import features
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.metadata import SPLITS

# The clocks of the system's start and of the run's log agree to about a second.
CLOCK_SECONDS = 2.0


@dg.sensor(
    job=features,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Every minute: lists each split's photos, archives and metadata, and runs the job features "
    "for a split that changed, for that one alone. A change counts once two looks have found the same files: "
    "a copy in progress starts nothing, nor does a state that the store holds already. 180,000 files take "
    "about two seconds; in a bucket they take 180 requests, and fetch only metadata. If it does nothing, "
    "its ticks say why; if a tick fails, its error names the setting or the file that is wrong.",
)
def raw_data_changed(
    context: dg.SensorEvaluationContext,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
) -> dg.SensorResult:
    """A run for each split whose raw files have changed and have settled."""
    # By split, the digests of its listing that the last look found, and that were dealt with last.
    seen, done = json.loads(context.cursor) if context.cursor else ({}, {})
    source, sought = raw_data.source(), SoughtBackbone.of(backbone)
    requests: list[dg.RunRequest] = []
    told: list[str] = []
    for split in SPLITS:
        raw = source.listing(split)
        settled, seen[split] = seen.get(split) == raw.digest, raw.digest
        if raw.digest == done.get(split):
            told.append(f"{split}: unchanged.")
        elif not settled:
            told.append(f"{split}: changed; looked at again next time, in case it is still being copied.")
        elif reason := busy(context.instance, split):
            told.append(reason)
        else:
            done[split] = raw.digest
            stale = stale_features(raw, store, sought, crops)
            answer = request(context.instance, features.name, stale) if stale else f"{split}: up to date."
            if isinstance(answer, str):
                told.append(answer)
            else:
                requests.append(answer)
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps([seen, done]),
        skip_reason=None if requests else dg.SkipReason(" ".join(told)),
    )


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every ten seconds, where runs are processes of this machine: a run whose process is gone "
    "(killed, or lost in a restart) is marked as failed, so that no other run waits for it. Dagster then "
    "starts it again (run_retries in dagster.yaml). If a tick fails, nothing is marked and the next one "
    "looks again.",
)
def orphaned_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Mark runs as failed whose process is gone.

    The cursor has the number of each run's process and when that started, in seconds since the system did: a
    clock that jumps changes neither, and a number that was given to another process is noticed.
    """
    if type(context.instance.run_launcher).__name__ != "DefaultRunLauncher":
        return dg.SensorResult(skip_reason="Runs are not processes of this machine.")
    known, alive, ended = json.loads(context.cursor or "{}"), {}, []
    for run in context.instance.get_runs(dg.RunsFilter(statuses=AT_WORK)):
        for start in context.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)[:1]:
            process = _process(start.dagster_event.pid if start.dagster_event else None)
            # At the first look, one that is younger than its run is another process of the same number.
            others = process and psutil.boot_time() + process[1] > start.timestamp + CLOCK_SECONDS
            if process and process == known.get(run.run_id, None if others else process):
                alive[run.run_id] = process
            else:
                context.instance.report_run_failed(run, "The process of this run is gone: it was killed.")
                ended.append(run.run_id)
    reason = f"Ended: {', '.join(ended)}." if ended else "Every run has its process."
    return dg.SensorResult(cursor=json.dumps(alive), skip_reason=reason)


def _process(number: int | None) -> list[float] | None:
    """The number of a process and when it started, in seconds since the system did; None where it is gone."""
    try:
        found = psutil.Process(number)
        gone = number is None or found.status() == psutil.STATUS_ZOMBIE
        return None if gone else [found.pid, round(found.create_time() - psutil.boot_time(), 2)]
    except psutil.NoSuchProcess:
        return None


all_sensors = [raw_data_changed, orphaned_runs]
