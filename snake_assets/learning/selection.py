"""The choice of the linear part among candidates, from their out-of-fold scores and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.fold_scores import FoldScores
from snake_assets.learning.settings import Recipe


class Candidate(BaseModel):
    """A recipe and how it did on the folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    scores: FoldScores


@dataclass(frozen=True, eq=False)
class LinearChoice:
    """What the linear part of the classifier is made of.

    Attributes:
        chosen: position of the best single candidate.
        members: positions of the candidates whose logits are averaged; the chosen one is among them.
        logits: the members' out-of-fold logits, each over its own temperature, averaged: float32 [H, C].
        scores: of these logits.
        staying: how many candidates were within one standard error of the best Track 1.
        leader: position of the candidate with the best Track 1.
    """

    chosen: int
    members: tuple[int, ...]
    logits: npt.NDArray[np.float32]
    scores: FoldScores
    staying: int
    leader: int


def choose_linear(
    candidates: Sequence[Candidate],
    logits: Sequence[npt.NDArray[np.float32]],
    judge: Callable[[npt.NDArray[np.float32]], FoldScores],
    average: int,
) -> LinearChoice:
    """Choose the heads that become the linear part.

    Track 1 is what counts, but one observation more or less right moves it by more than good recipes
    differ. So it only rules out: the candidate with the best Track 1 leads, and all those stay whose
    mean gap to the leader over the folds is within one standard error of that gap. Among them the
    least log-loss wins, which sees every probability and is far less a matter of luck. Equal ones go
    to the first.

    The winner is still a winner by luck among its like, so it is averaged with others of its class
    weighting: the mean of their logits, each over its own temperature, is one linear head again. They
    join in the order of their log-loss, and as many stay, up to `average` in all, as give the least
    log-loss together.

    Args:
        candidates: at least one.
        logits: out-of-fold logits of each, float32 [H, C].
        judge: scores of out-of-fold logits.
        average: how many candidates are averaged at most; 1 leaves the winner alone.
    """
    leader = max(range(len(candidates)), key=lambda number: candidates[number].scores.track1)
    staying = [
        number
        for number, one in enumerate(candidates)
        if not clearly_above(candidates[leader].scores.fold_track1, one.scores.fold_track1)
    ]
    chosen = min(staying, key=lambda number: candidates[number].scores.log_loss)
    winner = candidates[chosen]
    like_it = [
        number
        for number, one in enumerate(candidates)
        if number != chosen and one.recipe.class_weighting == winner.recipe.class_weighting
    ]
    ranked = [chosen, *sorted(like_it, key=lambda number: candidates[number].scores.log_loss)][:average]
    members, scores = ranked[:1], winner.scores
    total = logits[chosen] / winner.scores.temperature
    best = logits[chosen]
    for size, number in enumerate(ranked[1:], start=2):
        total = total + logits[number] / candidates[number].scores.temperature
        together = (total / size).astype(np.float32)
        averaged = judge(together)
        if averaged.log_loss < scores.log_loss:
            members, scores, best = ranked[:size], averaged, together
    return LinearChoice(chosen, tuple(members), best, scores, len(staying), leader)


def clearly_better(new: FoldScores, old: FoldScores) -> bool:
    """Whether the log-loss is lower by more than one standard error of the gap over the folds."""
    return clearly_above(old.fold_log_loss, new.fold_log_loss)


def clearly_above(high: Sequence[float], low: Sequence[float]) -> bool:
    """Whether the mean gap over the folds is above 0 by more than one standard error."""
    gaps = np.subtract(high, low)
    if gaps.size == 1:
        return bool(gaps[0] > 0)
    return bool(gaps.mean() > gaps.std(ddof=1) / np.sqrt(gaps.size))
