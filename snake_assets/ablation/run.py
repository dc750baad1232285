"""Every step's score on val, beside chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.ablation.data import AblationData, first_photos, numbered_by_frequency, read_by_the_paper
from snake_assets.ablation.paper_trainer import train_as_the_paper
from snake_assets.ablation.steps import PaperTrainer, Step
from snake_assets.learning.decision.pooling import mean_by_observation, observation_rows, softmax
from snake_assets.learning.decision.rules import argmax
from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.comparison import (
    DrawnScores,
    Interval,
    chance_level,
    draw_observations,
    drawn_scores,
    interval,
)
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.train import train_classifier
from snake_assets.snakeclef.metric import score

# Counts as an input: raise it when the same tables would give another ablation.
ABLATION_VERSION = 2


@dataclass(frozen=True, eq=False)
class StepResult:
    """A step and its official scores on val.

    Attributes:
        step: what was done.
        class_id: what R runs answered, int32 [R, O].
        photos: training photos read.
        own_accuracy: in percent, mean over the runs, on the part of train that the step held out and chose
            by: of photos with the paper's trainer, of observations with the package's.
        scores: track1, track2, f1 and accuracy, each the mean over the runs.
        track1_of_runs: Track 1 of every run.
        intervals: of each score, the 95 % interval over drawn observations and runs.
        gain: that of the difference of Track 1 to the step before, on the same draws; None for the first.
    """

    step: Step
    class_id: npt.NDArray[np.int32]
    photos: int
    own_accuracy: float
    scores: Mapping[str, float]
    track1_of_runs: Sequence[float]
    intervals: Mapping[str, Interval]
    gain: Interval | None


@dataclass(frozen=True, eq=False)
class Ablation:
    """All results, first to last, and what to hold them against.

    Attributes:
        results: one per step.
        observations: how many are scored.
        chance: mean scores of guessing among the species of train.
        chance_of_list: mean scores of guessing among all species of the venom list.
        perfect_by_number: Track 1 of a classifier that is never wrong, its species submitted by their number
            in the order of frequency; over the observations whose species train has, None without any.
    """

    results: Sequence[StepResult]
    observations: int
    chance: Mapping[str, float]
    chance_of_list: Mapping[str, float]
    perfect_by_number: float | None


def run(steps: Sequence[Step], data: AblationData, progress: Callable[[str], None] | None = None) -> Ablation:
    """Train, answer and score every step.

    Args:
        steps: first to last, at least one.
        data: what they are made from; val is looked at to be answered and scored, never to choose.
        progress: called with a line after each step.

    Raises:
        LearningError: no step, no observation, or photos that a step cannot be trained on.
        DataError: a class without a venom status.
    """
    if not steps:
        raise LearningError("There is no step to run.")
    truth, venomous, trained_on = data.truth, data.venomous, np.asarray(data.train.class_id)
    draws = draw_observations(len(truth))
    results: list[StepResult] = []
    before: DrawnScores | None = None
    for step in steps:
        class_id, photos, own_accuracy = _answer(data, step)
        # The draws are shared out among the runs, so that they tell of the luck of both.
        runs = min(len(class_id), len(draws))
        parts = [
            drawn_scores(truth, one, venomous, own)
            for one, own in zip(class_id[:runs], np.array_split(draws, runs), strict=True)
        ]
        drawn = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        scores = [score(truth, one, venomous).told for one in class_id]
        result = StepResult(
            step,
            class_id,
            photos,
            own_accuracy,
            scores={name: round(float(np.mean([one[name] for one in scores])), 2) for name in scores[0]},
            track1_of_runs=[one["track1"] for one in scores],
            intervals={name: interval(values) for name, values in drawn.items()},
            gain=interval(np.round(drawn["track1"] - before["track1"], 2)) if before else None,
        )
        before = drawn
        results.append(result)
        if progress:
            progress(f"{step.name}: Track 1 {result.scores['track1']:.2f}")
    known = truth[np.isin(truth, trained_on)]
    numbers = numbered_by_frequency(known, trained_on, venomous)
    return Ablation(
        results=results,
        observations=len(truth),
        chance=chance_level(truth, venomous, np.unique(trained_on)),
        chance_of_list=chance_level(truth, venomous, list(venomous)),
        perfect_by_number=score(known, numbers, venomous).told["track1"] if known.size else None,
    )


def _answer(data: AblationData, step: Step) -> tuple[npt.NDArray[np.int32], int, float]:
    """What the runs answer, photos trained on and own accuracy, as in `StepResult`."""
    settings, trainer, own = step.settings, step.settings.trainer, data.classifier
    train = data.train if settings.photos_read == "all" else read_by_the_paper(data.train)
    seen = data.val_rescaled_twice if settings.rescaled_twice else data.val
    if settings.one_photo:
        seen = first_photos(seen)
    if isinstance(trainer, PaperTrainer):
        answers, accuracy = _by_the_paper(data, train, seen, trainer)
    else:
        # Trained by its own recipe on all photos it would be the same again.
        if trainer != own.recipe or train is not data.train:
            own = train_classifier(train, data.venomous, trainer, own.fingerprint)
        answers, accuracy = own.identify(seen, data.order).class_id[None], own.choice.best.accuracy
    if settings.numbering == "frequency":
        answers = numbered_by_frequency(answers, np.asarray(train.class_id), data.venomous)
    return answers, len(train), accuracy


def _by_the_paper(
    data: AblationData, train: FeatureTable, seen: FeatureTable, trainer: PaperTrainer
) -> tuple[npt.NDArray[np.int32], float]:
    train, seen = (data.with_dct(table, trainer.orthonormal_dct) for table in (train, seen))
    models = [train_as_the_paper(train, trainer, number) for number in range(trainer.runs)]
    answers = []
    for trained in models:
        photos = softmax(trained.head.logits([seen.blocks[trainer.features]]))
        observations, rows = observation_rows(seen.observation_id, data.order)
        probabilities = mean_by_observation(photos, rows, len(observations))
        probabilities[np.isnan(probabilities).any(axis=1)] = trained.prior
        answers.append(argmax(probabilities, trained.class_ids))
    return np.stack(answers), float(np.mean([trained.accuracy for trained in models]))
