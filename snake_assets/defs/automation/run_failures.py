"""What a person needs to know of a failed run, on one page."""

from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    PARTITION_NAME_TAG,
    SCHEDULE_NAME_TAG,
    SENSOR_NAME_TAG,
    WILL_RETRY_TAG,
)

from snake_assets.defs.automation.run_requests import WHY_TAG
from snake_assets.storage.paths import AnyPath

FOLDER = "run_failures"
# How an error begins whose message our own code wrote (assets/faults.py).
OUR_PREFIX = "dagster._core.definitions.events.Failure: "

SAYS_NOTHING = "This run has been marked as failed from outside the execution context."


@dataclass(frozen=True)
class RunFailure:
    """A run that failed.

    Attributes:
        run_id: of the run.
        job: its name.
        splits: the splits it was for, in words; None where it has none.
        asked_by: what started it, in words.
        why: why it was asked for, where that is known.
        steps: step -> what it said; empty where no step failed but the run itself.
        message: what Dagster said of the run.
        starts_again: whether Dagster will start it again.
    """

    run_id: str
    job: str
    splits: str | None
    asked_by: str
    why: str | None
    steps: dict[str, str]
    message: str
    starts_again: bool


def read_failure(context: dg.RunFailureSensorContext) -> RunFailure:
    """The failure that a sensor is told of."""
    run = context.dagster_run
    steps = {
        event.step_key or "?": _sentence(event.step_failure_data.error.message)
        for event in context.get_step_failure_events()
        if event.step_failure_data.error
    }
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG)
    last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    splits = run.tags.get(PARTITION_NAME_TAG) or (first if first == last else f"{first} to {last}")
    asked_by = next(
        (
            f"the {kind} {run.tags[tag]}"
            for kind, tag in (
                ("backfill", BACKFILL_ID_TAG),
                ("schedule", SCHEDULE_NAME_TAG),
                ("sensor", SENSOR_NAME_TAG),
            )
            if tag in run.tags
        ),
        "a person, or a program of theirs",
    )
    return RunFailure(
        run.run_id,
        run.job_name,
        splits,
        asked_by,
        run.tags.get(WHY_TAG),
        steps,
        _what_dagster_says(context),
        run.tags.get(WILL_RETRY_TAG) == "true",
    )


def _what_dagster_says(context: dg.RunFailureSensorContext) -> str:
    """Its message on the run; where that says nothing, the last thing that happened, such as a signal."""
    said = context.failure_event.message or ""
    if said != SAYS_NOTHING:
        return said
    happened = context.instance.all_logs(context.dagster_run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return (happened[-1].message if happened else "") or said


def summary(failure: RunFailure, store: AnyPath) -> str:
    """The page, in Markdown; `store` is the root of the store."""
    whole = f" ({failure.splits})" if failure.splits else ""
    asked = f"{failure.asked_by}: {failure.why}" if failure.why else failure.asked_by
    said = [f"- `{step}`: {message}" for step, message in failure.steps.items()] or [f"- {failure.message}"]
    return "\n".join(
        [
            f"# Run {failure.run_id[:8]} of {failure.job}{whole} failed",
            "",
            f"Asked for by {asked}.",
            "",
            "## What failed",
            "",
            *said,
            "",
            "## What to do",
            "",
            *_advice(failure),
            "",
            "## Where to look",
            "",
            f"- in the UI: /runs/{failure.run_id}",
            f"- in the store: {store}",
            "",
        ]
    )


def _advice(failure: RunFailure) -> list[str]:
    if failure.starts_again:
        return ["Nothing: Dagster starts the run again by itself."]
    return [
        "1. Do what the message above says."
        if failure.steps
        else "1. See whether memory or the machine ran out; the run itself ended, not one of its steps.",
        "2. In the UI, open the run and choose *Re-execute from failure*, or go on from the command line:",
        "",
        f"       .venv/bin/dagster job execute -w workspace.yaml -j {failure.job}{_tags(failure)}",
        "",
        "Shards that were finished are kept: the next run goes on from there.",
    ]


def _tags(failure: RunFailure) -> str:
    one_split = failure.splits and " " not in failure.splits
    return f""" --tags '{{"dagster/partition": "{failure.splits}"}}'""" if one_split else ""


def _sentence(message: str) -> str:
    return message.strip().removeprefix(OUR_PREFIX)
