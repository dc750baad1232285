"""What is laid over the heads: the plain stays unless something else is clearly better on the folds."""

from dataclasses import dataclass

import numpy as np
import pytest

from snake_assets.learning.fold_scores import FoldScores
from snake_assets.learning.refinement import Selection, refine
from snake_assets.learning.selection import Candidate, LinearChoice
from snake_assets.learning.settings import Recipe, TrainingSettings

ARGMAX = (90.0, 91.0, 89.0, 90.0)
PLAIN = FoldScores(
    temperature=1.0,
    log_loss=0.5,
    track1=90.0,
    track2=10,
    f1=80.0,
    accuracy=80.0,
    fold_track1=ARGMAX,
    fold_f1=ARGMAX,
    fold_accuracy=ARGMAX,
    fold_log_loss=(0.5, 0.4, 0.6, 0.5),
    rules={"argmax": 90.0, "track1": 90.0, "track2": 90.0},
    fold_rules={"argmax": ARGMAX, "track1": ARGMAX, "track2": ARGMAX},
)


@dataclass(frozen=True)
class ToldJudge:
    """Gives each pooling the scores that it was told."""

    scores: dict[str, FoldScores]
    observations: int = 4

    def judge(self, logits: np.ndarray, pooling: str = "mean") -> FoldScores:
        return self.scores.get(pooling, PLAIN)


def refined(**scores: FoldScores) -> Selection:
    recipe = Recipe(features=("cls",), shrinkage=1.0, weight_decay=0.1)
    linear = LinearChoice(0, (0,), np.zeros((4, 2), dtype=np.float32), PLAIN, 1, 0)
    candidates = [Candidate(recipe=recipe, scores=PLAIN)]
    return refine(linear, candidates, ToldJudge(scores), TrainingSettings())


def ruled(track1: tuple[float, ...]) -> FoldScores:
    rules = {"argmax": 90.0, "track1": float(np.mean(track1)), "track2": 90.0}
    return PLAIN.model_copy(update={"rules": rules, "fold_rules": {**PLAIN.fold_rules, "track1": track1}})


def test_nothing_better_leaves_all_plain() -> None:
    selection = refined()
    assert (selection.pooling, selection.rule) == ("mean", "argmax")
    assert not selection.votes.taken and selection.location is None


@pytest.mark.parametrize(
    ("track1", "rule"),
    [((92.0, 93.5, 90.8, 92.0), "track1"), ((96.0, 91.0, 87.0, 90.0), "argmax"), (ARGMAX, "argmax")],
    ids=["on every fold", "by luck of one fold", "not at all"],
)
def test_a_rule_is_taken_only_if_it_clearly_wins(track1: tuple[float, ...], rule: str) -> None:
    assert refined(mean=ruled(track1)).rule == rule


@pytest.mark.parametrize(
    ("losses", "pooling"),
    [((0.4, 0.31, 0.52, 0.4), "log_mean"), ((0.1, 0.5, 0.65, 0.55), "mean")],
    ids=["on every fold", "by luck of one fold"],
)
def test_a_pooling_is_taken_only_if_it_clearly_wins(losses: tuple[float, ...], pooling: str) -> None:
    better = PLAIN.model_copy(update={"fold_log_loss": losses, "log_loss": float(np.mean(losses))})
    assert refined(log_mean=better).pooling == pooling
