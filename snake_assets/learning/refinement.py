"""What is laid over the linear part: pooling of photos, votes of reference photos, places, decision rule.

What is plain stays unless something else is clearly better on the folds; what is tried and not taken is kept.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.blending import VoteChoice, blended, choose_votes
from snake_assets.learning.decisions import RULES, DecisionRule
from snake_assets.learning.fold_scores import FoldJudge, FoldScores
from snake_assets.learning.observations import Pooling
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.references import HeldOutVotes
from snake_assets.learning.selection import Candidate, LinearChoice, clearly_above, clearly_better
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.views import ViewChoice

LocationOnFolds = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


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
        views: the heads that whole photos alone, crops alone, or both would be answered by; empty without
            crops. Their photos are pooled by the mean.
        pooling: how an observation's photos are pooled.
        votes: nearest and mean photos by themselves, and whether the heads are blended with their votes.
        location: scores with the location prior on top; None where train has no places.
        location_helps: whether it is clearly better so.
        scores: of heads, pooling and votes together, on the folds; its temperature is the heads'.
        rule: the decision rule.
        reason: the choice in words.
        held_out: number of observations that the scores are about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[Candidate, ...]
    chosen: int
    members: tuple[int, ...]
    alternatives: tuple[Alternative, ...]
    views: tuple[ViewChoice, ...] = ()
    pooling: Pooling
    votes: VoteChoice = VoteChoice()
    location: FoldScores | None = None
    location_helps: bool = False
    scores: FoldScores
    rule: DecisionRule
    reason: str
    held_out: int

    @property
    def winner(self) -> Candidate:
        """The best single candidate."""
        return self.candidates[self.chosen]

    def rows(self) -> list[dict[str, float | str]]:
        """A table: what was chosen, views and alternatives, then all candidates, least log-loss first."""
        ranked = sorted(self.candidates, key=lambda one: one.scores.log_loss)
        located = [] if self.location is None else [self.location.row("with the location prior")]
        return [
            self.scores.row("the classifier"),
            *located,
            *(one.scores.row(one.view) for one in self.views),
            *(one.scores.row(one.name) for one in self.alternatives),
            *(one.scores.row(one.recipe.name) for one in self.votes.baselines),
            *(one.scores.row(one.recipe.name) for one in ranked),
        ]


def refine(
    linear: LinearChoice,
    candidates: Sequence[Candidate],
    judge: FoldJudge,
    settings: TrainingSettings,
    votes: HeldOutVotes | None = None,
    locate: LocationOnFolds | None = None,
    views: tuple[ViewChoice, ...] = (),
) -> Selection:
    """Choose pooling, blend and decision rule on top of the linear part.

    A pooling other than the first, or a blend with votes, is taken only where its log-loss is lower by more
    than one standard error over the folds; a rule other than the first only where its Track 1 is higher by
    more than that. Of several such rules the one with the highest Track 1 is taken.
    The location prior is judged, but is no part of the other scores: test sets do not tell places.

    Args:
        linear: the chosen heads and their out-of-fold logits.
        candidates: of the sweep.
        judge: of the held-out photos.
        settings: what is tried; the first of its poolings and of its rules is the plain one.
        votes: of reference photos on the held-out photos; None tries none.
        locate: lays a location prior over the probabilities of the held-out observations.
        views: what the views are worth by themselves; kept as it is.
    """
    poolings = settings.poolings
    pooled = {pooling: judge.judge(linear.logits, pooling) for pooling in poolings}
    pooling = poolings[0]
    for other in poolings[1:]:
        if clearly_better(pooled[other], pooled[pooling]):
            pooling = other
    scores = pooled[pooling]
    photos: npt.NDArray[np.floating] = softmax(linear.logits, scores.temperature)
    size = len(linear.members)
    alternatives = [
        Alternative(name=f"average of {size}, photos pooled by {name}", scores=pooled[name])
        for name in poolings
        if name != pooling
    ]
    choice = VoteChoice()
    if votes is not None:
        choice = choose_votes(photos, scores, votes, judge, pooling, settings)
    if choice.blend is not None:
        if choice.taken:
            alternatives.insert(0, Alternative(name="the heads without votes", scores=scores))
            said = votes.probabilities(choice.blend.recipe) if votes else photos
            photos, scores = blended(photos, said, choice.blend.share), choice.blend.scores
        else:
            alternatives.insert(0, Alternative(name=choice.blend.name, scores=choice.blend.scores))
    location = judge.judge_observations(locate(judge.pooled(photos, pooling))) if locate else None
    by_rule, plain = scores.fold_rules, settings.rules[0]
    ahead = [name for name in settings.rules if clearly_above(by_rule[name], by_rule[plain])]
    rule = max([plain, *ahead], key=lambda name: scores.rules[name])
    return Selection(
        candidates=tuple(candidates),
        chosen=linear.chosen,
        members=linear.members,
        alternatives=tuple(alternatives),
        views=views,
        pooling=pooling,
        votes=choice,
        location=location,
        location_helps=location is not None and clearly_better(location, scores),
        scores=scores,
        rule=rule,
        reason=_reason(linear, candidates, pooling, choice, scores, rule),
        held_out=judge.observations,
    )


def _reason(
    linear: LinearChoice,
    candidates: Sequence[Candidate],
    pooling: Pooling,
    votes: VoteChoice,
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
        *_about(votes),
        f"Decided by {rule}: Track 1 is "
        + ", ".join(f"{scores.rules[name]:.2f} by {name}" for name in RULES)
        + ".",
    ]
    return " ".join(lines)


def _about(votes: VoteChoice) -> list[str]:
    if votes.blend is None:
        return []
    verdict = "are clearly better, and taken" if votes.taken else "are not clearly better, and not taken"
    return [
        f"The {votes.blend.name} {verdict} ({votes.blend.scores.log_loss:.4f}, Track 1 "
        f"{votes.blend.scores.track1:.2f})."
    ]
