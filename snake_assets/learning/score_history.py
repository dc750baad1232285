"""How the scores on val went from one report to the next."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from snake_assets.learning.errors import LearningError
from snake_assets.learning.report import Judgement
from snake_assets.storage.paths import AnyPath

HISTORY_FILE = "history.json"


class Scored(BaseModel):
    """One report: when it was made, of which classifier, and the official scores on val.

    `date` is in UTC to the second; `classifier` is the digest of the classifier's files; track1, f1 and
    accuracy are in percent, track2 is a cost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: str
    classifier: str
    observations: int
    track1: float
    track2: float
    f1: float
    accuracy: float


_HISTORY = TypeAdapter(tuple[Scored, ...])


def read_history(folder: AnyPath) -> tuple[Scored, ...]:
    """The reports so far, oldest first; none where the folder holds no history.

    Raises:
        LearningError: the file there is damaged.
    """
    path = folder / HISTORY_FILE
    try:
        return _HISTORY.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise LearningError(
            f"{path} is damaged ({error.error_count()} faults): restore it, or remove it to begin anew."
        ) from error


def with_report(
    history: Sequence[Scored], judgement: Judgement, classifier: str, now: datetime | None = None
) -> tuple[Scored, ...]:
    """The history with one report more, made `now` of the classifier of this digest."""
    scores = judgement.scores
    date = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    new = Scored(
        date=date,
        classifier=classifier,
        observations=len(judgement.predictions),
        track1=scores.track1,
        track2=scores.track2,
        f1=scores.f1,
        accuracy=scores.accuracy,
    )
    return (*history, new)


def write_history(history: Sequence[Scored], folder: Path) -> None:
    """Write history.json into an existing folder."""
    told = [report.model_dump() for report in history]
    (folder / HISTORY_FILE).write_text(json.dumps(told, indent=1))
