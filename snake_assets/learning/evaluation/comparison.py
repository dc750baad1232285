"""Ways of answering, side by side: their official scores with intervals, on the same draws, beside chance.

An interval is the percentile bootstrap's: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993),
section 13.3. What is drawn again is the observation, because photos of one observation are not independent of
each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import Scores, score

DRAWS, LEVEL, CHANCE_DRAWS = 1000, 0.95, 200

Interval = tuple[float, float]
DrawnScores = dict[str, npt.NDArray[np.float64]]
Integers = npt.NDArray[np.integer]


def draw_observations(observations: int, draws: int = DRAWS) -> npt.NDArray[np.int32]:
    """Rows of as many observations drawn with replacement: int32 [draws, observations], always the same."""
    return np.random.default_rng(0).integers(observations, size=(draws, observations), dtype=np.int32)


def drawn_scores(
    truth: Integers, predicted: Integers, venomous: Mapping[int, bool] | None, rows: Integers
) -> DrawnScores:
    """The official scores of draws: class_ids [O], rows of each draw [B, O'] -> each as told, float64 [B].

    Raises:
        DataError: a class without a venom status.
    """
    scores = [score(truth[drawn], predicted[drawn], venomous).told for drawn in rows]
    return {name: np.array([one[name] for one in scores], dtype=np.float64) for name in scores[0]}


def interval(values: npt.NDArray[np.float64]) -> Interval:
    """The middle 95 % of the draws, (low, high), both of them values that were drawn."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


@dataclass(frozen=True)
class Variant:
    """One way of answering: its scores on so many observations.

    `intervals` holds the 95 % intervals of what `scores` tells, and is empty for a single observation, from
    which nothing can be drawn. `gain` is the interval of the difference of its Track 1 to the first
    variant's, on the same draws; None where the two are not about the same observations, or there is no
    Track 1.
    """

    name: str
    observations: int
    scores: Scores
    intervals: Mapping[str, Interval]
    gain: Interval | None = None


def compare(
    answers: Mapping[str, Integers], truth: Integers, venomous: Mapping[int, bool] | None
) -> list[Variant]:
    """Score every way of answering, name -> class_ids [O]; the first is what the others are held against.

    `venomous` as for `score`.

    Raises:
        DataError: nothing to score, answers for more or fewer observations, a class without a venom status.
    """
    scores = {name: score(truth, predicted, venomous) for name, predicted in answers.items()}
    if len(truth) == 1:
        return [Variant(name, 1, found, {}) for name, found in scores.items()]
    rows = draw_observations(len(truth))
    draws = {name: drawn_scores(truth, predicted, venomous, rows) for name, predicted in answers.items()}
    first = next(iter(draws.values())).get("track1")
    return [
        Variant(
            name=name,
            observations=len(truth),
            scores=scores[name],
            intervals={which: interval(values) for which, values in drawn.items()},
            gain=interval(np.round(drawn["track1"] - first, 2)) if number and first is not None else None,
        )
        for number, (name, drawn) in enumerate(draws.items())
    ]


def chance_level(
    truth: Integers, venomous: Mapping[int, bool] | None, candidates: Sequence[int] | Integers
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
    scores = [score(truth, guess, venomous).told for guess in guesses]
    return {name: float(np.mean([one[name] for one in scores])) for name in scores[0]}
