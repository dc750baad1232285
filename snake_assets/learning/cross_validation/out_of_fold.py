"""What head and neighbours say of photos that they have not seen, and the two numbers chosen by it."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.cross_validation.folds import ALWAYS_TRAINING
from snake_assets.learning.decision.calibration import fit_temperature, log_loss
from snake_assets.learning.decision.pooling import (
    mean_by_observation,
    observation_rows,
    pool_observations,
    softmax,
)
from snake_assets.learning.decision.rules import RULES, DecisionRule, decide, venom_flags
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.linear_head import fit_heads
from snake_assets.learning.neighbours import fit_neighbours
from snake_assets.learning.settings import Recipe
from snake_assets.snakeclef.metric import score


class Candidate(BaseModel):
    """A strength and a share, and the scores of held-out observations under argmax: percent, nats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float
    share: float
    log_loss: float
    track1: float
    f1: float
    accuracy: float


class Choice(BaseModel):
    """What was chosen on the folds.

    Attributes:
        candidates: all of them, the least log-loss first: that one is chosen.
        temperature: that fits the chosen head best.
        held_out: observations that the scores are of.
        track1_by_rule: Track 1 of the chosen one under each decision rule, in percent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[Candidate, ...]
    temperature: float
    held_out: int
    track1_by_rule: dict[DecisionRule, float]

    @property
    def best(self) -> Candidate:
        """The chosen one."""
        return self.candidates[0]


def choose(
    table: FeatureTable,
    labels: npt.NDArray[np.int64],
    class_ids: npt.NDArray[np.int32],
    folds: npt.NDArray[np.int64],
    recipe: Recipe,
    venomous: Mapping[int, bool],
    progress: Callable[[str], None],
) -> Choice:
    """Try every strength and share on held-out photos; the least log-loss of observations is chosen.

    Log-loss, not Track 1: on some hundred observations it tells candidates apart with far less luck, and on
    12 splits of real photos neither led to the better scores.

    Args:
        table: N labelled photos with a block `cls`.
        labels: columns of `class_ids`, [N].
        class_ids: species, ascending, [C].
        folds: of each photo, as from `grouped_folds`.
        recipe: what is tried.
        venomous: class_id -> is venomous.
        progress: told of each fold.
    """
    logits, votes = _held_out(table, labels, len(class_ids), folds, recipe, progress)
    held_out = np.flatnonzero(folds != ALWAYS_TRAINING)
    names = [table.observation_id[row] for row in held_out.tolist()]
    observations, places = observation_rows(names)
    # An observation's truth is its first photo's.
    truth = labels[held_out[np.unique(places, return_index=True)[1]]]
    flags, prior = venom_flags(class_ids, venomous), observation_shares(table, labels, len(class_ids))
    candidates: list[Candidate] = []
    temperature, best = 1.0, np.empty((0, 0))
    for strength, own in zip(recipe.strengths, logits, strict=True):
        fitted = fit_temperature(mean_by_observation(own, places, len(observations)), truth)
        heads = softmax(own, fitted)
        for share in recipe.shares:
            _, pooled = pool_observations((1 - share) * heads + share * votes, names)
            scores = score(class_ids[truth], decide("argmax", pooled, class_ids, flags, prior), venomous)
            loss = round(log_loss(pooled, truth), 6)
            # Only the best one's probabilities are kept: at the official size each takes 140 MB.
            if all(loss < one.log_loss for one in candidates):
                temperature, best = fitted, pooled
            candidates.append(
                Candidate(
                    strength=strength,
                    share=share,
                    log_loss=loss,
                    track1=scores.track1,
                    f1=scores.f1,
                    accuracy=scores.accuracy,
                )
            )
    rules = {rule: decide(rule, best, class_ids, flags, prior) for rule in RULES}
    return Choice(
        candidates=tuple(sorted(candidates, key=lambda one: one.log_loss)),
        temperature=temperature,
        held_out=len(observations),
        track1_by_rule={
            rule: score(class_ids[truth], answers, venomous).track1 for rule, answers in rules.items()
        },
    )


def observation_shares(
    table: FeatureTable, labels: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.float64]:
    """Share of each species among the table's observations, [C]."""
    first_photos = np.unique(table.observation_id, return_index=True)[1]
    shares: npt.NDArray[np.float64] = np.bincount(labels[first_photos], minlength=classes) / len(first_photos)
    return shares


def _held_out(
    table: FeatureTable,
    labels: npt.NDArray[np.int64],
    classes: int,
    folds: npt.NDArray[np.int64],
    recipe: Recipe,
    progress: Callable[[str], None],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Logits [strengths, H, C] and votes [H, C] of the H held-out photos, in their order."""
    fold_of_row = folds[folds != ALWAYS_TRAINING]
    logits = np.empty((len(recipe.strengths), len(fold_of_row), classes), np.float32)
    votes = np.zeros((len(fold_of_row), classes), np.float32)
    blocks = table.present(recipe.blocks)
    for fold in range(int(folds.max()) + 1):
        seen, own, unseen = np.flatnonzero(folds != fold), fold_of_row == fold, folds == fold
        if any(recipe.shares):
            votes[own] = fit_neighbours(table.blocks[CLS], labels, classes, seen).votes(
                table.blocks[CLS][unseen]
            )
        heads = fit_heads(
            [table.blocks[name] for name in blocks],
            labels,
            classes,
            recipe.strengths,
            recipe.epochs,
            recipe.seed,
            seen,
            progress,
        )
        asked = [table.blocks[name][unseen] for name in blocks]
        for number, head in enumerate(heads):
            logits[number, own] = head.logits(asked)
        progress(f"fold {fold + 1} of {int(folds.max()) + 1}")
    return logits, votes
