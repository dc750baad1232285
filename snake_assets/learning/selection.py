"""The choice among candidates, from their out-of-fold scores and nothing else."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.decisions import RULES, DecisionRule
from snake_assets.learning.fold_scores import FoldScores
from snake_assets.learning.settings import Recipe


class Candidate(BaseModel):
    """A recipe and how it did on the folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    scores: FoldScores


class Selection(BaseModel):
    """All candidates, what was made of them, and why.

    Attributes:
        candidates: every recipe that was tried.
        chosen: position of the best single candidate.
        members: positions of the candidates whose logits are averaged; the chosen one is among them.
        scores: of the average, on the folds; its temperature is the classifier's.
        rule: the decision rule.
        reason: the choice in words.
        held_out: number of observations that the scores are about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[Candidate, ...]
    chosen: int
    members: tuple[int, ...]
    scores: FoldScores
    rule: DecisionRule
    reason: str
    held_out: int

    @property
    def winner(self) -> Candidate:
        """The best single candidate."""
        return self.candidates[self.chosen]

    def rows(self) -> list[dict[str, float | str]]:
        """A table: the average first, then all candidates, least log-loss first."""
        ranked = sorted(self.candidates, key=lambda one: one.scores.log_loss)
        name = f"average of {len(self.members)}"
        return [self.scores.row(name), *(one.scores.row(one.recipe.name) for one in ranked)]


def choose(
    candidates: Sequence[Candidate],
    logits: Sequence[npt.NDArray[np.float32]],
    judge: Callable[[npt.NDArray[np.float32]], FoldScores],
    held_out: int,
    average: int,
) -> Selection:
    """Choose what the classifier is made of, and its decision rule.

    Track 1 is what counts, but one observation more or less right moves it by more than good recipes
    differ. So it only rules out: the candidate with the best Track 1 leads, and all those stay whose
    mean gap to the leader over the folds is within one standard error of that gap. Among them the
    least log-loss wins, which sees every probability and is far less a matter of luck. Equal ones go
    to the first.

    The winner is still a winner by luck among its like, so it is averaged with others of its class
    weighting: the mean of their logits, each over its own temperature, is one linear head again. They
    join in the order of their log-loss, and as many stay, up to `average` in all, as give the least
    log-loss together. The decision rule is then the one with the higher Track 1, argmax when equal.

    Args:
        candidates: at least one.
        logits: out-of-fold logits of each, float32 [N, C].
        judge: scores of out-of-fold logits.
        held_out: number of observations judged.
        average: how many candidates are averaged at most; 1 leaves the winner alone.
    """
    leader = max(candidates, key=lambda one: one.scores.track1)
    staying = [number for number, one in enumerate(candidates) if _indistinguishable(leader, one)]
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
    for size, number in enumerate(ranked[1:], start=2):
        total = total + logits[number] / candidates[number].scores.temperature
        averaged = judge((total / size).astype(np.float32))
        if averaged.log_loss < scores.log_loss:
            members, scores = ranked[:size], averaged
    rule = max(RULES, key=lambda name: scores.rules[name])
    best, own = leader.scores, winner.scores
    reason = (
        f"{len(staying)} of {len(candidates)} candidates are within one standard error of the best Track 1 "
        f"on the folds ({best.track1:.2f}, {leader.recipe.name}). Of these, {winner.recipe.name} has the "
        f"least log-loss ({own.log_loss:.4f}, Track 1 {own.track1:.2f}). "
        + (
            f"With {len(members) - 1} others averaged in, {scores.log_loss:.4f} and {scores.track1:.2f}. "
            if len(members) > 1
            else "It stands alone. "
        )
        + f"Decided by {rule}: Track 1 is "
        + ", ".join(f"{scores.rules[name]:.2f} by {name}" for name in RULES)
        + "."
    )
    return Selection(
        candidates=tuple(candidates),
        chosen=chosen,
        members=tuple(members),
        scores=scores,
        rule=rule,
        reason=reason,
        held_out=held_out,
    )


def _indistinguishable(leader: Candidate, other: Candidate) -> bool:
    gaps = np.subtract(leader.scores.fold_track1, other.scores.fold_track1)
    if gaps.size == 1:
        return bool(gaps[0] <= 0)
    return bool(gaps.mean() <= gaps.std(ddof=1) / np.sqrt(gaps.size))
