"""Ways of answering, side by side: their official scores with intervals, on the same draws, beside chance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.bootstrap import Interval, draw_observations, drawn_scores, interval
from snake_assets.snakeclef.metric import Scores, score
from snake_assets.storage.fingerprints import Json

CHANCE_DRAWS = 200
NAMES = ("track1", "track2", "f1", "accuracy")


@dataclass(frozen=True)
class Variant:
    """One way of answering: its scores on so many observations.

    `intervals` holds the 95 % intervals of track1, track2, f1 and accuracy, and is empty for a single
    observation, from which nothing can be drawn. `gain` is the interval of the difference of its Track 1 to
    the first variant's, on the same draws; None where the two are not about the same observations.
    """

    name: str
    observations: int
    scores: Scores
    intervals: Mapping[str, Interval]
    gain: Interval | None = None

    def to_json(self) -> dict[str, Json]:
        """One flat row for scores.json."""
        return {
            "name": self.name,
            "observations": self.observations,
            **asdict(self.scores),
            "intervals": {name: list(bounds) for name, bounds in self.intervals.items()},
            "track1_gain": None if self.gain is None else list(self.gain),
        }


def compare(
    answers: Mapping[str, npt.NDArray[np.integer]],
    truth: npt.NDArray[np.integer],
    venomous: Mapping[int, bool],
) -> list[Variant]:
    """Score every way of answering on all observations; the first is what the others are held against.

    Args:
        answers: name -> predicted class_ids, [O], at least one.
        truth: class_id of every observation, [O].
        venomous: class_id -> is venomous, for all that occur.

    Raises:
        LearningError: an answer for more or fewer observations.
        DataError: nothing to score, or a class_id without a venom status.
    """
    for name, predicted in answers.items():
        if len(predicted) != len(truth):
            raise LearningError(f"{name!r} answers {len(predicted)} observations of {len(truth)}.")
    scores = {name: score(truth, predicted, venomous) for name, predicted in answers.items()}
    if len(truth) == 1:
        return [Variant(name, 1, found, {}) for name, found in scores.items()]
    rows = draw_observations(len(truth))
    draws = {name: drawn_scores(truth, predicted, venomous, rows) for name, predicted in answers.items()}
    first = next(iter(draws.values()))["track1"]
    return [
        Variant(
            name=name,
            observations=len(truth),
            scores=scores[name],
            intervals={which: interval(values) for which, values in drawn.items()},
            gain=interval(np.round(drawn["track1"] - first, 2)) if number else None,
        )
        for number, (name, drawn) in enumerate(draws.items())
    ]


def chance_level(
    truth: npt.NDArray[np.integer],
    venomous: Mapping[int, bool],
    candidates: Sequence[int] | npt.NDArray[np.integer],
) -> dict[str, float]:
    """Mean official scores of guessing uniformly among the candidate class_ids, by 200 simulations.

    Raises:
        LearningError: nothing to guess, or nothing to guess from.
        DataError: a class without a venom status.
    """
    if len(truth) == 0 or len(candidates) == 0:
        raise LearningError(
            f"{len(truth)} observations and {len(candidates)} species: guessing needs one of each."
        )
    guesses = np.random.default_rng(0).choice(np.sort(candidates), size=(CHANCE_DRAWS, len(truth)))
    scores = [score(truth, guess, venomous) for guess in guesses]
    return {name: float(np.mean([getattr(one, name) for one in scores])) for name in NAMES}
