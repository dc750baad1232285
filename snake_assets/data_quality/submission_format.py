"""What the check of a submission looks at: every observation answered once, with a known class_id."""

from collections.abc import Mapping, Sequence

from snake_assets.data_quality.findings import Findings
from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.snakeclef.submission import COLUMNS, read_submission
from snake_assets.storage.paths import AnyPath


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
