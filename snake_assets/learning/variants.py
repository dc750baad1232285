"""Ways of answering, side by side: their official scores with intervals, on the same draws."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.intervals import Interval, draw_observations, drawn_scores, intervals
from snake_assets.snakeclef.metric import Scores, score
from snake_assets.storage.fingerprints import Json

OWN = "the classifier"


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
            intervals=intervals(drawn),
            gain=intervals({"track1": np.round(drawn["track1"] - first, 2)})["track1"] if number else None,
        )
        for number, (name, drawn) in enumerate(draws.items())
    ]


def without(
    names: Sequence[str],
    why: str,
    observation_id: Sequence[str],
    predicted: npt.NDArray[np.integer],
    truth: npt.NDArray[np.integer],
    venomous: Mapping[int, bool],
) -> list[Variant]:
    """The same answers scored without some observations; no row if that leaves all of them, or none.

    Args:
        names: observations to leave out.
        why: ends the row's name.
        observation_id: of every observation, O.
        predicted: class_id answered, [O].
        truth: class_id, [O].
        venomous: as in `compare`.
    """
    kept = ~np.isin(np.array(observation_id, dtype=object), list(names))
    left_out = int((~kept).sum())
    if left_out == 0 or not kept.any():
        return []
    some = "1 observation" if left_out == 1 else f"{left_out:,} observations"
    return compare({f"{OWN}, without {some} {why}": predicted[kept]}, truth[kept], venomous)
