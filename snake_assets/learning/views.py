"""Whether crops help: heads that see whole photos alone, crops alone, or both, each chosen among its like."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.feature_table import AVERAGES, CROP_BLOCKS, WHOLE_BLOCKS
from snake_assets.learning.fold_scores import FoldScores
from snake_assets.learning.selection import Candidate, choose_linear

View = Literal["whole photo only", "crop only", "both whole photo and crop"]


class ViewChoice(BaseModel):
    """The heads that one view alone would have been answered by, and their scores on the folds.

    `members` are positions among the candidates of the sweep.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    view: View
    members: tuple[int, ...]
    scores: FoldScores


def view_of(features: Sequence[str]) -> View:
    """Which view of a photo the blocks of a feature set tell of; an average tells of both."""
    whole, crop = ({*blocks, *AVERAGES}.intersection(features) for blocks in (WHOLE_BLOCKS, CROP_BLOCKS))
    if whole and crop:
        return "both whole photo and crop"
    return "crop only" if crop else "whole photo only"


def choose_views(
    candidates: Sequence[Candidate],
    logits: Sequence[npt.NDArray[np.float32]],
    judge: Callable[[npt.NDArray[np.float32]], FoldScores],
    average: int,
) -> tuple[ViewChoice, ...]:
    """The best heads of each view, chosen as the classifier's are; none where all candidates are of one view.

    Arguments as in `choose_linear`.
    """
    members: dict[View, list[int]] = {}
    for number, candidate in enumerate(candidates):
        members.setdefault(view_of(candidate.recipe.features), []).append(number)
    if len(members) == 1:
        return ()
    chosen = {
        view: choose_linear([candidates[one] for one in own], [logits[one] for one in own], judge, average)
        for view, own in members.items()
    }
    return tuple(
        ViewChoice(
            view=view,
            members=tuple(members[view][position] for position in linear.members),
            scores=linear.scores,
        )
        for view, linear in chosen.items()
    )
