"""Schedules, off until somebody switches them on: they ask for what is missing or stale, for nothing else."""

from collections.abc import Sequence

import dagster as dg

from snake_assets.defs.assets.dependencies import CROP_TABLES, FEATURE_TABLES
from snake_assets.defs.automation.run_requests import Refusal, Wish, ask
from snake_assets.defs.automation.staleness import features_digest, why_answers_are_stale
from snake_assets.defs.jobs import deliver, features
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.freshness import state_sought, why_features_are_stale
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.snakeclef.raw.sources import RawListing
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.vision.embedding.staleness import SoughtBackbone

EVERY_HOUR = "0 * * * *"


def features_wish(raw: RawListing, store: Store, backbone: SoughtBackbone, crops: CropMode) -> Wish | None:
    """The run that would bring a split's features up to date; None where they are, or there is no photo."""
    if raw.is_empty and read_manifest(store.folder("raw_images", raw.split)) is None:
        return None
    cropped = crops is not CropMode.none
    why = why_features_are_stale(
        raw,
        lambda asset: store.folder(asset, raw.split),
        backbone,
        FEATURE_TABLES,
        CROP_TABLES if cropped else (),
    )
    state = state_sought(raw, backbone, crops.value if cropped else None)
    return Wish(features.name, raw.split, state, why) if why else None


@dg.schedule(
    job=features,
    cron_schedule=EVERY_HOUR,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every hour: runs the job features for each split whose tables are missing or stale, a run "
    "for each. Judged by the raw files, the backbone, the versions of the code and the store itself, so it "
    "does not matter who filled or emptied the store. A split that a run or a backfill is at is left alone, "
    "and so is one whose last run in just this state failed: mend what that run names, or re-execute it. If "
    "a tick itself fails, its error names the setting or the file that is wrong. The runs take the default "
    "config: photos that were embedded at another resolution in the launchpad do not count as stale, but "
    "are embedded at the default once they change.",
)
def backfill_missing_splits(
    context: dg.ScheduleEvaluationContext,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run for each split whose features are missing or stale."""
    source, sought = raw_data.source(), backbone.sought()
    wishes = [features_wish(source.listing(split), store, sought, crops.checked()) for split in SPLITS]
    asked = [ask(context.instance, wish) for wish in wishes if wish]
    return _answer(context, asked, "The features of every split that has photos are up to date.")


@dg.schedule(
    job=deliver,
    cron_schedule=EVERY_HOUR,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every hour: runs the job deliver (classifier, report, pictures, submission) if the features "
    "of all splits are up to date and one of these was made of others. It waits while anything runs. If a "
    "tick fails, its error names the setting or the file that is wrong.",
)
def refresh_submission(
    context: dg.ScheduleEvaluationContext,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run for classifier, report and submission, if the features have changed since."""
    source, sought = raw_data.source(), backbone.sought()
    for split in SPLITS:
        if wish := features_wish(source.listing(split), store, sought, crops.checked()):
            return dg.SkipReason(f"The features of {split} come first: {wish.why}.")
    why = why_answers_are_stale(store, crops)
    wish = Wish(deliver.name, None, features_digest(store, crops), why) if why else None
    asked = [ask(context.instance, wish)] if wish else []
    return _answer(context, asked, "Classifier, report and submission are made of the features as they are.")


def _answer(
    context: dg.ScheduleEvaluationContext, asked: Sequence[dg.RunRequest | Refusal], nothing: str
) -> list[dg.RunRequest] | dg.SkipReason:
    """The requests; what was not requested is told in the tick's log, or as the reason where nothing was."""
    told = [answer.why for answer in asked if isinstance(answer, Refusal)]
    requests = [answer for answer in asked if isinstance(answer, dg.RunRequest)]
    if not requests:
        return dg.SkipReason(" ".join(told) or nothing)
    for sentence in told:
        context.log.info(sentence)
    return requests


all_schedules = [backfill_missing_splits, refresh_submission]
