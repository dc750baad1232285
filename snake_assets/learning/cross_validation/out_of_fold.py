"""What head and neighbours say of photos that they have not seen, and the two numbers chosen by it."""

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.cross_validation.folds import ALWAYS_TRAINING
from snake_assets.learning.decision.calibration import fit_temperature, log_loss
from snake_assets.learning.decision.pooling import observation_rows, pool_observations, softmax, tempered
from snake_assets.learning.decision.rules import argmax
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.linear_head import fit_heads
from snake_assets.learning.neighbours import fit_neighbours
from snake_assets.learning.settings import Recipe
from snake_assets.snakeclef.metric import score


class Candidate(BaseModel):
    """A strength, a share, the temperature that fits them, and what held-out observations say of them.

    `log_loss` is in nats, at that temperature; track1, f1 and accuracy are percent, under argmax. Without
    track1, venom was not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float
    share: float
    temperature: float
    log_loss: float
    track1: float | None
    f1: float
    accuracy: float


class Choice(BaseModel):
    """All candidates, least log-loss first: that one is chosen; and how many observations were held out.

    `rows` are those of the training table whose photos were held out, where the backbone was fine-tuned: none
    of them may be of a photo that it has seen. Else it is empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)]
    held_out: int
    rows: tuple[int, ...] = ()

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
    venomous: Mapping[int, bool] | None,
    progress: Callable[[str], None],
) -> Choice:
    """Try every strength and share on held-out photos; the least log-loss of observations is chosen.

    Of probabilities as they are, the sharper blend would win, not the better one: each is judged at the
    temperature that fits it.

    Labels [N] are columns of the ascending class_ids [C]; folds [N] are as from `grouped_folds`.
    """
    fold_of_row, classes = folds[folds != ALWAYS_TRAINING], len(class_ids)
    logits = np.empty((len(recipe.strengths), len(fold_of_row), classes), np.float32)
    votes = np.empty((len(fold_of_row), classes), np.float32)
    cls, blocks = table.blocks[CLS], [table.blocks[name] for name in table.present(recipe.blocks)]
    for fold in range(int(folds.max()) + 1):
        seen, own, unseen = np.flatnonzero(folds != fold), fold_of_row == fold, folds == fold
        votes[own] = fit_neighbours(cls, labels, classes, seen).votes(cls[unseen])
        heads = fit_heads(
            blocks, labels, classes, recipe.strengths, recipe.epochs, recipe.seed, seen, progress
        )
        asked = [block[unseen] for block in blocks]
        for number, head in enumerate(heads):
            logits[number, own] = head.logits(asked)
        progress(f"fold {fold + 1} of {int(folds.max()) + 1}")
    held_out = np.flatnonzero(folds != ALWAYS_TRAINING)
    names = [table.observation_id[row] for row in held_out.tolist()]
    observations, places = observation_rows(names)
    # An observation's truth is its first photo's.
    truth = labels[held_out[np.unique(places, return_index=True)[1]]]
    candidates: list[Candidate] = []
    for strength, of_strength in zip(recipe.strengths, logits, strict=True):
        said = softmax(of_strength)
        for share in recipe.shares:
            _, pooled = pool_observations((1 - share) * said + share * votes, names)
            temperature = fit_temperature(pooled, truth)
            scores = score(class_ids[truth], argmax(pooled, class_ids), venomous)
            candidates.append(
                Candidate(
                    strength=strength,
                    share=share,
                    temperature=temperature,
                    log_loss=round(log_loss(tempered(pooled, temperature), truth), 6),
                    track1=scores.track1,
                    f1=scores.f1,
                    accuracy=scores.accuracy,
                )
            )
    ranked = sorted(candidates, key=lambda one: one.log_loss)
    rows = () if table.seen is None else tuple(held_out.tolist())
    return Choice(candidates=tuple(ranked), held_out=len(observations), rows=rows)
