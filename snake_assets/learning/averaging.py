"""The average of the chosen heads, which is one linear model again."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.feature_table import AVERAGES, BLOCKS, FeatureTable
from snake_assets.learning.fitting import LinearModel, fit_models
from snake_assets.learning.selection import Candidate
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.standardisation import Standardisation


def blocks_of(members: Sequence[Candidate], table: FeatureTable) -> dict[str, int]:
    """All blocks that the recipes of some candidates name -> columns in a table; in a model's input order."""
    used: set[str] = {name for member in members for name in member.recipe.features}
    return {name: table.dims[name] for name in (*BLOCKS, *AVERAGES) if name in used}


def average_model(
    table: FeatureTable,
    labels: npt.NDArray[np.int64],
    classes: int,
    features: dict[str, int],
    members: list[Candidate],
    settings: TrainingSettings,
) -> LinearModel:
    """Train the recipes of some candidates on all photos of a table and average their logits.

    Each is divided by its own temperature first, unless it stands alone.

    Args:
        table: labelled photos.
        labels: class of each photo in 0..classes-1, [N].
        classes: C.
        features: block name -> its columns, in the model's input order; all that the recipes name.
        members: the candidates.
        settings: how heads are trained.

    Raises:
        LearningError: as `train_heads`.
    """
    ends = np.cumsum(list(features.values()))
    columns = {name: np.arange(end - features[name], end) for name, end in zip(features, ends, strict=True)}
    weight, bias = np.zeros((ends[-1], classes), np.float32), np.zeros(classes, np.float32)
    mean, scale = np.zeros(ends[-1], np.float32), np.ones(ends[-1], np.float32)
    for names in dict.fromkeys(member.recipe.features for member in members):
        group = [member for member in members if member.recipe.features == names]
        recipes = [member.recipe for member in group]
        models = fit_models(table.matrix(names), labels, classes, recipes, settings.optimisation)
        rows = np.concatenate([columns[name] for name in names])
        for member, model in zip(group, models, strict=True):
            # A lone recipe's temperature is the classifier's, and is divided by there.
            share = 1 / (len(members) * member.scores.temperature) if len(members) > 1 else 1.0
            weight[rows] += np.float32(share) * model.weight
            bias += np.float32(share) * model.bias
        # Columns are standardised one by one, so all members agree on every column that they share.
        mean[rows], scale[rows] = models[0].standardisation.mean, models[0].standardisation.scale
    return LinearModel(Standardisation(mean, scale), weight, bias)
