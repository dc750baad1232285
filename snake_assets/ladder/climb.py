"""Every rung's score on val, beside chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.ladder.answering import Answers, answer
from snake_assets.ladder.material import Material, class_ids_of
from snake_assets.ladder.numbering import numbered_by_frequency
from snake_assets.ladder.settings import Rung
from snake_assets.learning.chance import chance_level
from snake_assets.learning.errors import LearningError
from snake_assets.learning.intervals import (
    DrawnScores,
    Interval,
    draw_observations,
    drawn_scores,
    intervals,
)
from snake_assets.snakeclef.metric import score

SCORES = ("track1", "track2", "f1", "accuracy")
# Counts as an input: raise it when the same tables would give another ladder.
LADDER_VERSION = 2


@dataclass(frozen=True, eq=False)
class Step:
    """A rung and its official scores on val.

    Attributes:
        rung: what was done.
        answers: what came of it.
        scores: track1, track2, f1 and accuracy, each the mean over the runs.
        track1_of_runs: Track 1 of every run.
        intervals: of each score, the 95 % interval over drawn observations and runs.
        gain: that of the difference of Track 1 to the rung before, on the same draws; None for the first.
    """

    rung: Rung
    answers: Answers
    scores: Mapping[str, float]
    track1_of_runs: Sequence[float]
    intervals: Mapping[str, Interval]
    gain: Interval | None

    @property
    def species_named(self) -> float:
        """How many different species a run names, mean over the runs."""
        return float(np.mean([np.unique(run).size for run in self.answers.class_id]))


@dataclass(frozen=True, eq=False)
class Ladder:
    """All steps, first to last, and what to hold them against.

    Attributes:
        steps: one per rung.
        observations: how many are scored.
        chance: mean scores of guessing among the species of train.
        chance_of_list: mean scores of guessing among all species of the venom list.
        perfect_by_number: Track 1 of a classifier that is never wrong, its species submitted by their number
            in the order of frequency; over the observations whose species train has, None without any.
    """

    steps: Sequence[Step]
    observations: int
    chance: Mapping[str, float]
    chance_of_list: Mapping[str, float]
    perfect_by_number: float | None


def climb(rungs: Sequence[Rung], material: Material, progress: Callable[[str], None] | None = None) -> Ladder:
    """Train, answer and score every rung.

    Args:
        rungs: first to last, at least one.
        material: what they are made from; val is looked at to be answered and scored, never to choose.
        progress: called with a line after each rung.

    Raises:
        LearningError: no rung, no observation, or photos that a rung cannot be trained on.
        DataError: a class without a venom status.
    """
    if not rungs:
        raise LearningError("There is no rung to climb.")
    truth, venomous = material.truth, material.venomous
    draws = draw_observations(len(truth))
    steps: list[Step] = []
    before: DrawnScores | None = None
    for rung in rungs:
        answers = answer(material, rung.settings)
        drawn = _drawn(answers.class_id, truth, venomous, draws)
        step = _step(rung, answers, truth, venomous, drawn, before)
        before = drawn
        steps.append(step)
        if progress:
            progress(f"{rung.name}: Track 1 {step.scores['track1']:.2f}")
    trained_on = class_ids_of(material.train)
    return Ladder(
        steps=steps,
        observations=len(truth),
        chance=chance_level(truth, venomous, np.unique(trained_on)),
        chance_of_list=chance_level(truth, venomous, list(venomous)),
        perfect_by_number=_perfect_by_number(truth, trained_on, venomous),
    )


def _step(
    rung: Rung,
    answers: Answers,
    truth: npt.NDArray[np.int32],
    venomous: Mapping[int, bool],
    drawn: DrawnScores,
    before: DrawnScores | None,
) -> Step:
    runs = [score(truth, run, venomous) for run in answers.class_id]
    return Step(
        rung=rung,
        answers=answers,
        scores={name: round(float(np.mean([getattr(run, name) for run in runs])), 2) for name in SCORES},
        track1_of_runs=[run.track1 for run in runs],
        intervals=intervals(drawn),
        gain=None
        if before is None
        else intervals({"track1": np.round(drawn["track1"] - before["track1"], 2)})["track1"],
    )


def _drawn(
    class_id: npt.NDArray[np.int32],
    truth: npt.NDArray[np.int32],
    venomous: Mapping[int, bool],
    draws: npt.NDArray[np.int32],
) -> DrawnScores:
    # The draws are shared out among the runs, so that they tell of the luck of both.
    runs = min(len(class_id), len(draws))
    parts = [
        drawn_scores(truth, run, venomous, own)
        for run, own in zip(class_id[:runs], np.array_split(draws, runs), strict=True)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _perfect_by_number(
    truth: npt.NDArray[np.int32], trained_on: npt.NDArray[np.int32], venomous: Mapping[int, bool]
) -> float | None:
    known = truth[np.isin(truth, trained_on)]
    if not known.size:
        return None
    return score(known, numbered_by_frequency(known, trained_on, venomous), venomous).track1
