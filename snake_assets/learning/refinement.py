"""What is laid over the linear part: the pooling of an observation's photos, and the decision rule.

The plain pooling stays unless another is clearly better on the folds; what is tried and not taken is kept.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from snake_assets.learning.decisions import RULES, DecisionRule
from snake_assets.learning.fold_scores import FoldJudge, FoldScores
from snake_assets.learning.observations import Pooling
from snake_assets.learning.selection import Candidate, LinearChoice, clearly_better


class Alternative(BaseModel):
    """Something that was tried beside the candidates, and its scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scores: FoldScores


class Selection(BaseModel):
    """All that was tried on the folds, what was made of it, and why.

    Attributes:
        candidates: every recipe of the sweep.
        chosen: position of the best single candidate.
        members: positions of the candidates whose logits are averaged; the chosen one is among them.
        alternatives: the average of the heads, and the poolings that were not taken.
        pooling: how an observation's photos are pooled.
        scores: of all this together, on the folds; its temperature is the classifier's.
        rule: the decision rule.
        reason: the choice in words.
        held_out: number of observations that the scores are about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[Candidate, ...]
    chosen: int
    members: tuple[int, ...]
    alternatives: tuple[Alternative, ...]
    pooling: Pooling
    scores: FoldScores
    rule: DecisionRule
    reason: str
    held_out: int

    @property
    def winner(self) -> Candidate:
        """The best single candidate."""
        return self.candidates[self.chosen]

    def rows(self) -> list[dict[str, float | str]]:
        """A table: what was chosen, then the alternatives, then all candidates, least log-loss first."""
        ranked = sorted(self.candidates, key=lambda one: one.scores.log_loss)
        return [
            self.scores.row("the classifier"),
            *(one.scores.row(one.name) for one in self.alternatives),
            *(one.scores.row(one.recipe.name) for one in ranked),
        ]


def refine(
    linear: LinearChoice, candidates: Sequence[Candidate], judge: FoldJudge, poolings: Sequence[Pooling]
) -> Selection:
    """Choose pooling and decision rule on top of the linear part.

    A pooling other than the first is taken only where its log-loss is lower by more than one standard error
    over the folds; the rule is the one with the highest Track 1, argmax when equal.

    Args:
        linear: the chosen heads and their out-of-fold logits.
        candidates: of the sweep.
        judge: of the held-out photos.
        poolings: those to try, the plain one first.
    """
    pooled = {pooling: judge.judge(linear.logits, pooling) for pooling in poolings}
    pooling = poolings[0]
    for other in poolings[1:]:
        if clearly_better(pooled[other], pooled[pooling]):
            pooling = other
    scores = pooled[pooling]
    rule = max(RULES, key=lambda name: scores.rules[name])
    size = len(linear.members)
    return Selection(
        candidates=tuple(candidates),
        chosen=linear.chosen,
        members=linear.members,
        alternatives=tuple(
            Alternative(name=f"average of {size}, photos pooled by {name}", scores=pooled[name])
            for name in poolings
            if name != pooling
        ),
        pooling=pooling,
        scores=scores,
        rule=rule,
        reason=_reason(linear, candidates, pooling, scores, rule),
        held_out=judge.observations,
    )


def _reason(
    linear: LinearChoice,
    candidates: Sequence[Candidate],
    pooling: Pooling,
    scores: FoldScores,
    rule: DecisionRule,
) -> str:
    leader, winner = candidates[linear.leader], candidates[linear.chosen]
    own, heads = winner.scores, linear.scores
    lines = [
        f"{linear.staying} of {len(candidates)} candidates are within one standard error of the best Track 1 "
        f"on the folds ({leader.scores.track1:.2f}, {leader.recipe.name}).",
        f"Of these, {winner.recipe.name} has the least log-loss ({own.log_loss:.4f}, Track 1 "
        f"{own.track1:.2f}).",
        f"With {len(linear.members) - 1} others averaged in, {heads.log_loss:.4f} and {heads.track1:.2f}."
        if len(linear.members) > 1
        else "It stands alone.",
        f"An observation's photos are pooled by {pooling}.",
        f"Decided by {rule}: Track 1 is "
        + ", ".join(f"{scores.rules[name]:.2f} by {name}" for name in RULES)
        + ".",
    ]
    return " ".join(lines)
