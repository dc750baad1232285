"""The choice among votes of reference photos, and whether the heads are blended with them."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.fold_scores import FoldJudge, FoldScores
from snake_assets.learning.observations import Pooling
from snake_assets.learning.references import HeldOutVotes, VoteRecipe
from snake_assets.learning.selection import clearly_better
from snake_assets.learning.settings import Share, TrainingSettings


class Baseline(BaseModel):
    """A vote that answers by itself, and how it did on the folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: VoteRecipe
    scores: FoldScores


class Blend(BaseModel):
    """share x the votes' probabilities + (1 - share) x the heads', photo by photo; scores on the folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: VoteRecipe
    share: Share
    scores: FoldScores

    @property
    def name(self) -> str:
        """The blend in a few words, for logs and tables."""
        return f"heads blended with {self.share:.0%} of {self.recipe.name}"


class VoteChoice(BaseModel):
    """What the folds say of votes.

    Attributes:
        baselines: the best recipe of nearest photos and of mean photos, as far as they were tried.
        blend: the best blend, None where none was tried.
        taken: whether the classifier is that blend.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baselines: tuple[Baseline, ...] = ()
    blend: Blend | None = None
    taken: bool = False


def vote_recipes(settings: TrainingSettings) -> list[VoteRecipe]:
    """Every vote that the settings ask for: nearest photos, then mean photos."""
    if not settings.neighbours:
        return []
    voters: Sequence[int | None] = (*settings.neighbours, None)
    return [
        VoteRecipe(k=k, temperature=temperature)
        for k, temperature in product(voters, settings.vote_temperatures)
    ]


def choose_votes(
    heads: npt.NDArray[np.floating],
    scores: FoldScores,
    votes: HeldOutVotes,
    judge: FoldJudge,
    pooling: Pooling,
    settings: TrainingSettings,
) -> VoteChoice:
    """Choose the baselines, and a blend if one is clearly better than the heads by themselves.

    A baseline is the recipe with the highest Track 1, the least log-loss of equals: votes rule species out
    altogether, which its log-loss alone would punish whatever it answers. Of blends the least log-loss leads;
    it is taken only where that is lower by more than one standard error over the folds, as with poolings.

    Args:
        heads: probabilities of the held-out photos by the heads, at their temperature, [H, C].
        scores: of these, pooled by `pooling`.
        votes: on the same photos.
        judge: of the held-out photos.
        pooling: how an observation's photos are pooled.
        settings: which votes and shares are tried.
    """
    alone: list[Baseline] = []
    blends: list[Blend] = []
    for recipe in vote_recipes(settings):
        said = votes.probabilities(recipe)
        alone.append(Baseline(recipe=recipe, scores=judge.judge_probabilities(said)))
        for share in settings.blends:
            mixed = judge.judge_probabilities(
                blended(heads, said, share), pooling, temperature=scores.temperature
            )
            blends.append(Blend(recipe=recipe, share=share, scores=mixed))
    kinds = [[one for one in alone if (one.recipe.k is None) == means] for means in (False, True)]
    best = min(blends, key=lambda one: one.scores.log_loss, default=None)
    return VoteChoice(
        baselines=tuple(
            max(kind, key=lambda one: (one.scores.track1, -one.scores.log_loss)) for kind in kinds if kind
        ),
        blend=best,
        taken=best is not None and clearly_better(best.scores, scores),
    )


def blended(
    heads: npt.NDArray[np.floating], votes: npt.NDArray[np.floating], share: float
) -> npt.NDArray[np.floating]:
    """share x votes + (1 - share) x heads."""
    mixed: npt.NDArray[np.floating] = (1 - share) * heads + share * votes
    return mixed
