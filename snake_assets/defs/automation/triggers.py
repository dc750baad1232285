"""Schedules and sensors: they ask for what is missing, stale or changed, and end runs whose process is gone.

Those that ask are off until somebody switches them on.
"""

import json

import dagster as dg
import psutil

from snake_assets.defs.automation.staleness import SoughtBackbone, Stale, stale_answers, stale_features
from snake_assets.defs.jobs import features, snakeclef
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.metadata import SPLITS

EVERY_HOUR = "0 * * * *"
# The clocks of the system's start and of the run's log agree to about a second.
CLOCK_SECONDS = 2.0
PARTITION_TAG, STATE_TAG, WHY_TAG = "dagster/partition", "snake/state", "snake/why"
AT_WORK = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
NOT_FINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    *AT_WORK,
]


def busy(instance: dg.DagsterInstance, split: str | None) -> str | None:
    """What runs now, or is about to, and may write the split; without a split, whatever runs."""
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED)):
        if split is None or run.tags.get(PARTITION_TAG) in (None, split):
            return f"{split or 'the answers'}: run {run.run_id[:8]} is at it."
    return None


def request(instance: dg.DagsterInstance, job: str, stale: Stale) -> dg.RunRequest | str:
    """A run that mends it; or why none: the last one for the same state failed or was cancelled.

    It would fail again. A person may re-execute that one, and a change makes another state.
    """
    tags = {STATE_TAG: stale.state} | ({PARTITION_TAG: stale.split} if stale.split else {})
    earlier = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags))
    if earlier and not earlier[0].is_success:
        return (
            f"{stale.split or job}: {stale.why}; run {earlier[0].run_id[:8]} for just this state ended as "
            f"{earlier[0].status.value}. Mend what it names, or re-execute it in the UI."
        )
    # Earlier runs succeeded and what they made is gone: the state is the same, and its run another.
    return dg.RunRequest(
        run_key=f"{stale.split or job}:{stale.state[:16]}:{len(earlier)}",
        partition_key=stale.split,
        tags={STATE_TAG: stale.state, WHY_TAG: stale.why[:200]},
    )


@dg.schedule(
    job=features,
    cron_schedule=EVERY_HOUR,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every hour: runs the job features for each split whose tables are missing or stale, a run "
    "for each. Judged by the raw files, the backbone, the versions of the code and the store itself, so it "
    "does not matter who filled or emptied the store. A split that a run is at is left alone, and so is one "
    "whose last run in just this state failed: mend what that run names, or re-execute it. If a tick itself "
    "fails, its error names the setting or the file that is wrong. The runs take the default config: photos "
    "that were embedded at another resolution in the launchpad do not count as stale, but are embedded at "
    "the default once they change.",
)
def backfill_missing_splits(
    context: dg.ScheduleEvaluationContext,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run for each split whose features are missing or stale."""
    source, sought = raw_data.source(store, computes=False), SoughtBackbone.of(backbone, store)
    answers: list[dg.RunRequest | str] = []
    for split in SPLITS:
        if reason := busy(context.instance, split):
            answers.append(reason)
        elif stale := stale_features(source.listing(split), store, sought, crops):
            answers.append(request(context.instance, features.name, stale))
    reasons = " ".join(answer for answer in answers if isinstance(answer, str))
    if reasons:
        context.log.info(reasons)
    return [answer for answer in answers if isinstance(answer, dg.RunRequest)] or dg.SkipReason(
        reasons or "The features of every split that has photos are up to date."
    )


@dg.schedule(
    job=snakeclef,
    cron_schedule=EVERY_HOUR,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every hour: runs the job snakeclef if the features of all splits are up to date, and "
    "classifier, report or submission was made of others; what is up to date is kept. It waits while a run "
    "is at work. If a tick fails, its error names the setting or the file that is wrong.",
)
def refresh_submission(
    context: dg.ScheduleEvaluationContext,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
) -> dg.RunRequest | dg.SkipReason:
    """One run for classifier, report and submission, if the features have changed since."""
    if reason := busy(context.instance, None):
        return dg.SkipReason(reason)
    source, sought = raw_data.source(store, computes=False), SoughtBackbone.of(backbone, store)
    for split in SPLITS:
        if stale := stale_features(source.listing(split), store, sought, crops):
            return dg.SkipReason(f"The features of {split} come first: {stale.why}.")
    there = [split for split in SPLITS if not raw_data.left_out(split, store, source)]
    if stale := stale_answers(store, crops, there):
        answer = request(context.instance, snakeclef.name, stale)
        return dg.SkipReason(answer) if isinstance(answer, str) else answer
    return dg.SkipReason("Classifier, report and submission are made of the features as they are.")


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
    source, sought = raw_data.source(store, computes=False), SoughtBackbone.of(backbone, store)
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


all_schedules = [backfill_missing_splits, refresh_submission]
all_sensors = [raw_data_changed, orphaned_runs]
