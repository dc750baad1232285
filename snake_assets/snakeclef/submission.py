"""The submission file: observation_id,class_id, one row per test observation."""

import csv
import io
from collections.abc import Mapping, Sequence

from snake_assets.snakeclef.csvfile import read_rows
from snake_assets.snakeclef.venom import class_id_of
from snake_assets.storage.findings import Findings
from snake_assets.storage.places import AnyPath

COLUMNS = ("observation_id", "class_id")


def submission_csv(predictions: Mapping[str, int]) -> str:
    """The file's text; rows keep the mapping's order, which must be the test metadata's."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(predictions.items())
    return text.getvalue()


def read_submission(path: AnyPath) -> dict[str, int]:
    """Read observation_id -> class_id in the file's order.

    Raises:
        DataError: the file is missing or malformed, or an observation stands twice.
    """
    predictions: dict[str, int] = {}
    for row in read_rows(path, COLUMNS):
        observation_id = row.exact("observation_id")
        if observation_id in predictions:
            raise row.error("observation_id", f"repeats {observation_id!r}", "keep one row per observation")
        predictions[observation_id] = row.parse("class_id", class_id_of, "a whole number")
    return predictions


def submission_against(path: AnyPath, observations: Sequence[str]) -> Findings:
    """Hold a submission against the observations that it must answer, in their order and spelling.

    Raises:
        DataError: the file is missing or malformed, or an observation stands twice.
    """
    read_submission(path)
    # To the byte: whoever scores the file will not strip its ids.
    answered = [row.cells["observation_id"] for row in read_rows(path, COLUMNS)]
    there, wanted = set(answered), set(observations)
    faults = [f"observation {name} has no answer" for name in observations if name not in there]
    faults += [f"observation {name!r} is not one of test" for name in answered if name not in wanted]
    if not faults and answered != list(observations):
        at = next(at for at, name in enumerate(observations) if answered[at] != name)
        faults = [f"line {at + 2} answers {answered[at]} where {observations[at]} should be"]
    return Findings(faults, {"observations of test": len(observations), "answers": len(answered)})


def unknown_answers(path: AnyPath, venomous: Mapping[int, bool]) -> Findings:
    """Answers of a submission whose class_id the venom list lacks.

    Raises:
        DataError: the file is missing or malformed, or an observation stands twice.
    """
    answers = read_submission(path)
    return Findings(
        [
            f"observation {name} is answered with class_id {class_id}"
            for name, class_id in answers.items()
            if class_id not in venomous
        ],
        {"answers": len(answers), "species answered": len(set(answers.values()))},
    )
