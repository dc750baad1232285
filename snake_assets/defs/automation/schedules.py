"""Schedules, off until somebody switches them on: they ask for what is missing or stale, for nothing else."""

import dagster as dg

from snake_assets.defs.automation.staleness import SoughtBackbone, Stale, stale_answers, stale_features
from snake_assets.defs.jobs import features, snakeclef
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.metadata import SPLITS

EVERY_HOUR = "0 * * * *"
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
    source, sought = raw_data.source(), SoughtBackbone.of(backbone)
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
    source, sought = raw_data.source(), SoughtBackbone.of(backbone)
    for split in SPLITS:
        if stale := stale_features(source.listing(split), store, sought, crops):
            return dg.SkipReason(f"The features of {split} come first: {stale.why}.")
    there = [split for split in SPLITS if not raw_data.left_out(split)]
    if stale := stale_answers(store, crops, there):
        answer = request(context.instance, snakeclef.name, stale)
        return dg.SkipReason(answer) if isinstance(answer, str) else answer
    return dg.SkipReason("Classifier, report and submission are made of the features as they are.")


all_schedules = [backfill_missing_splits, refresh_submission]
