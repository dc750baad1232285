"""The official SnakeCLEF metric (DESIGN.md, section 9), as a function and as a command.

    python -m snake_assets.snakeclef.metric TRUTH.csv SUBMISSION.csv VENOM.csv

prints the scores as one JSON line; errors go to stderr with exit status 2.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.snakeclef.metadata import Labels, class_id_of, read_venom_list
from snake_assets.snakeclef.submission import read_submission


def read_truth(path: Path) -> dict[str, int]:
    """Read observation_id -> class_id from a metadata file; an observation may have several rows.

    Raises:
        DataError: the file is missing or malformed, or rows of it contradict each other or look rounded.
    """
    truth: dict[str, int] = {}
    labels = Labels()
    for row in read_rows(path, ["observation_id", "class_id"], ["binomial_name"]):
        class_id = row.parse("class_id", class_id_of, "a whole number")
        observation_id = row.exact("observation_id")
        labels.add(row, observation_id, class_id, row.cells.get("binomial_name", "").strip() or None)
        truth[observation_id] = class_id
    labels.finish()
    return truth


ClassIds = Sequence[int] | npt.NDArray[np.integer]

# (truth is venomous, prediction is venomous) -> what one such error costs in Track 2,
# which is also the weight of its group in Track 1.
COSTS: dict[tuple[bool, bool], int] = {
    (False, False): 1,
    (False, True): 2,
    (True, False): 5,
    (True, True): 2,
}
RATE_NAMES = {"P1": (False, False), "P2": (False, True), "P3": (True, False), "P4": (True, True)}
ERROR_NAMES = {
    "harmless_to_harmless": (False, False),
    "harmless_to_venomous": (False, True),
    "venomous_to_harmless": (True, False),
    "venomous_to_venomous": (True, True),
}


@dataclass(frozen=True)
class Scores:
    """Scores of one submission: percentages rounded to two decimals, Track 2 a whole number.

    `rates` holds P1..P4, `errors` the four counts that they come from. What weighs venomous against harmless
    is None where venom is not known.
    """

    f1: float
    accuracy: float
    track1: float | None = None
    track2: int | None = None
    rates: dict[str, float] | None = None
    errors: dict[str, int] | None = None

    @property
    def told(self) -> dict[str, float]:
        """Those of track1, track2, f1 and accuracy that could be told, in this order."""
        figures = {name: getattr(self, name) for name in ("track1", "track2", "f1", "accuracy")}
        return {name: value for name, value in figures.items() if value is not None}


def score(truth: ClassIds, predicted: ClassIds, venomous: Mapping[int, bool] | None) -> Scores:
    """Score predictions, one entry per observation, as the organisers do.

    A rate whose group is empty (no venomous observation, say) is 0: nothing was got wrong in it.

    Args:
        truth: class_id of every observation, [N].
        predicted: predicted class_id of every observation, [N].
        venomous: for every class_id that occurs, whether it is medically important venomous (MIVS); None
            where that is not known: F1 and accuracy are all that is told then.

    Raises:
        DataError: nothing to score, lengths that differ, or a class_id without a venom status.
    """
    true_ids, guess_ids = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if true_ids.shape != guess_ids.shape or true_ids.ndim != 1:
        raise DataError(
            f"{true_ids.shape} true labels cannot be compared with {guess_ids.shape} predictions."
        )
    if true_ids.size == 0:
        raise DataError("There is no observation to score.")
    wrong = true_ids != guess_ids
    f1, accuracy = round(100 * macro_f1(true_ids, guess_ids), 2), round(100 * float(np.mean(~wrong)), 2)
    if venomous is None:
        return Scores(f1, accuracy)
    true_venomous, guess_venomous = _venom_flags(true_ids, venomous), _venom_flags(guess_ids, venomous)
    counts = {
        cell: int(np.sum(wrong & (true_venomous == cell[0]) & (guess_venomous == cell[1]))) for cell in COSTS
    }
    group_sizes = {flag: int(np.sum(true_venomous == flag)) for flag in (False, True)}
    rates = {
        name: round(100 * counts[cell] / group_sizes[cell[0]], 2) if group_sizes[cell[0]] else 0.0
        for name, cell in RATE_NAMES.items()
    }
    weighted = f1 + sum(COSTS[cell] * (100 - rates[name]) for name, cell in RATE_NAMES.items())
    return Scores(
        f1=f1,
        accuracy=accuracy,
        track1=round(weighted / (1 + sum(COSTS.values())), 2),
        track2=sum(COSTS[cell] * count for cell, count in counts.items()),
        rates=rates,
        errors={name: counts[cell] for name, cell in ERROR_NAMES.items()},
    )


def macro_f1(truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> float:
    """Unweighted mean of F1 over the union of true and predicted classes, in 0..1; inputs are [N]."""
    classes, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    true_codes, guess_codes = codes[: truth.size], codes[truth.size :]
    hits = np.bincount(true_codes[true_codes == guess_codes], minlength=classes.size)
    # 2TP / (2TP + FP + FN), and TP + FN = true count, TP + FP = predicted count; never 0 in the union.
    totals = np.bincount(true_codes, minlength=classes.size) + np.bincount(
        guess_codes, minlength=classes.size
    )
    return float(np.mean(2 * hits / totals))


def score_files(truth: Path, submission: Path, venom: Path) -> Scores:
    """Score a submission.csv against a metadata file that has `observation_id` and `class_id`.

    Raises:
        DataError: a file is missing or malformed, or the two do not hold the same observations.
    """
    true_ids, guess_ids = read_truth(truth), read_submission(submission)
    missing, unknown = true_ids.keys() - guess_ids.keys(), guess_ids.keys() - true_ids.keys()
    if missing or unknown:
        named = ", ".join(sorted(missing or unknown)[:5])
        raise DataError(
            f"{submission}: {len(missing)} observations of {truth.name} have no row and {len(unknown)} rows "
            f"are of other observations (among them {named}). A submission holds each observation once."
        )
    return score(list(true_ids.values()), [guess_ids[key] for key in true_ids], read_venom_list(venom))


def _venom_flags(class_ids: npt.NDArray[np.int64], venomous: Mapping[int, bool]) -> npt.NDArray[np.bool_]:
    known, positions = np.unique(class_ids, return_inverse=True)
    absent = [int(class_id) for class_id in known if int(class_id) not in venomous]
    if absent:
        raise DataError(f"class_id {absent[:5]} are not in the venom list, so they cannot be scored.")
    return np.array([venomous[int(class_id)] for class_id in known], dtype=bool)[positions]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m snake_assets.snakeclef.metric",
        description="Official SnakeCLEF scores of a submission, as one JSON line.",
    )
    parser.add_argument("truth", type=Path, metavar="TRUTH.csv")
    parser.add_argument("submission", type=Path, metavar="SUBMISSION.csv")
    parser.add_argument("venom", type=Path, metavar="VENOM.csv")
    files = parser.parse_args(arguments)
    try:
        scores = score_files(files.truth, files.submission, files.venom)
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(asdict(scores)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
