"""Sensors: one sees raw data change, one tells of failed runs, one finds runs whose process is gone."""

import json
from dataclasses import dataclass

import dagster as dg

from snake_assets.defs.automation.orphaned_runs import end_orphans
from snake_assets.defs.automation.run_failures import FOLDER, read_failure, summary
from snake_assets.defs.automation.run_requests import Refusal, ask
from snake_assets.defs.automation.schedules import features_wish
from snake_assets.defs.jobs import features
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.storage.io import write_whole

AS_IT_SHOULD_BE = "the store holds what is to be had of these files."
WAITING = "changed; looked at again next time, in case it is still being copied."


@dataclass(frozen=True)
class Settling:
    """What is known of a split's raw files from one look to the next, by the digests of its listings.

    Attributes:
        seen: what the last look found.
        settled: whether the look before found the same.
        done: the state that was dealt with last.
    """

    seen: str | None = None
    settled: bool = False
    done: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether there is a change that has settled and was not dealt with."""
        return self.settled and self.seen != self.done

    def look(self, digest: str) -> "Settling":
        """After another look."""
        return Settling(digest, digest == self.seen, self.done)

    def dealt_with(self) -> "Settling":
        """After a run was asked for, or found not to be needed."""
        return Settling(self.seen, self.settled, self.seen)


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
    known = {split: Settling(**values) for split, values in json.loads(context.cursor or "{}").items()}
    source, sought = raw_data.source(), backbone.sought()
    requests: list[dg.RunRequest] = []
    told: list[str] = []
    for split in SPLITS:
        raw = source.listing(split)
        known[split] = known.get(split, Settling()).look(raw.digest)
        if not known[split].is_due:
            told.append(f"{split}: {'unchanged.' if known[split].settled else WAITING}")
            continue
        wish = features_wish(raw, store, sought, crops.checked())
        answer = (
            ask(context.instance, wish) if wish else Refusal(f"{split}: {AS_IT_SHOULD_BE}", for_now=False)
        )
        if isinstance(answer, dg.RunRequest):
            requests.append(answer)
        else:
            told.append(answer.why)
        if isinstance(answer, dg.RunRequest) or not answer.for_now:
            known[split] = known[split].dealt_with()
    cursor = json.dumps({split: vars(settling) for split, settling in known.items()})
    return dg.SensorResult(
        run_requests=requests,
        cursor=cursor,
        skip_reason=None if requests else dg.SkipReason(" ".join(told)),
    )


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="After a run failed: writes run_failures/<run id>.md into the store, a page that says what "
    "failed, why, and how to go on. Reads Dagster's log and writes that one file; nothing else. "
    "If a tick fails, the store cannot be written: the run's own page in the UI has it all too.",
)
def run_failed(context: dg.RunFailureSensorContext, store: Store) -> None:
    """A readable page on a failed run."""
    run = context.dagster_run
    page = store.folder(FOLDER) / f"{run.run_id}.md"
    text = summary(read_failure(context), store.folder(""))
    write_whole(page, text.encode())
    context.log.error(f"Run {run.run_id[:8]} of {run.job_name} failed; {page} says:\n\n{text}")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every half minute, only where runs are processes of this machine: a run whose process is "
    "gone (killed, or lost in a restart) is marked as failed and gives its slot of the pool accelerator "
    "back; nothing waits for it for ever. Dagster then starts it again (run_retries in dagster.yaml). If "
    "a tick fails, nothing is marked and the next one looks again.",
)
def orphaned_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Mark runs as failed whose process is gone."""
    ended = end_orphans(context.instance)
    return dg.SkipReason(f"Ended: {', '.join(ended)}." if ended else "Every run has its process.")


all_sensors = [raw_data_changed, run_failed, orphaned_runs]
