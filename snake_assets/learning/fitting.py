"""Training on given rows: standardise, whiten within classes, train, fold everything into plain weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.heads import Optimisation, train_heads
from snake_assets.learning.settings import Recipe
from snake_assets.learning.standardisation import Standardisation, fit_standardisation, within_class_basis
from snake_assets.learning.threads import threads_for


@dataclass(frozen=True, eq=False)
class LinearModel:
    """logits = standardisation(x) @ weight + bias; weight float32 [D, C], bias float32 [C]."""

    standardisation: Standardisation
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def logits(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits of features, float32 [N, D] -> float32 [N, C]."""
        products: npt.NDArray[np.float32] = self.standardisation.apply(features) @ self.weight
        return products + self.bias


def fit_models(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    classes: int,
    recipes: Sequence[Recipe],
    optimisation: Optimisation,
) -> list[LinearModel]:
    """Train a model for each recipe, in their order, all in one pass over the features.

    Only these rows are looked at: mean, scale and scatter are theirs.

    Args:
        features: the blocks that all the recipes name, raw, float32 [N, D].
        labels: class of each row in 0..classes-1, [N].
        classes: C.
        recipes: what to train; all of one feature set.
        optimisation: steps, batches, device.

    Raises:
        LearningError: as `train_heads`.
    """
    columns = len(recipes) * classes
    batch = min(len(features), optimisation.batch_size)
    with threads_for(2.0 * batch * features.shape[1] * columns):
        standardisation = fit_standardisation(features)
        standardised = standardisation.apply(features)
        basis = within_class_basis(standardised, labels, classes)
        heads = train_heads(
            basis.project(standardised),
            labels,
            classes,
            [recipe.head for recipe in recipes],
            optimisation,
            np.stack([basis.stretch(recipe.shrinkage) for recipe in recipes]),
        )
    return [
        LinearModel(standardisation, basis.axes @ weight, bias)
        for weight, bias in zip(heads.weight, heads.bias, strict=True)
    ]
