"""How the scores on val went from one report to the next."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from snake_assets.learning.errors import LearningError
from snake_assets.storage.paths import AnyPath

HISTORY_FILE = "history.json"


class Scored(BaseModel):
    """One report: its date in UTC, the digest of the classifier's files, and the official scores on val.

    There is no track1 and no track2 where venom was not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    classifier: str
    observations: int
    track1: float | None
    track2: float | None
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


def write_history(history: Sequence[Scored], folder: Path) -> None:
    """Write history.json into an existing folder."""
    (folder / HISTORY_FILE).write_bytes(_HISTORY.dump_json(tuple(history), indent=1))
