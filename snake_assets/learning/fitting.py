"""Training on given rows: standardise, whiten within classes, train, fold everything into plain weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from snake_assets.learning.heads import Heads, Optimisation, Watch, train_heads
from snake_assets.learning.scatter import Rows, Scatter, measure_scatter
from snake_assets.learning.settings import Recipe
from snake_assets.learning.standardisation import Standardisation
from snake_assets.learning.threads import threads_for
from snake_assets.learning.warm_start import SAMPLE, discriminant_heads

# Weights that are trained at once, 128 MB: with their moments, start and outcome they take six times that.
WEIGHTS_AT_ONCE = 1 << 25
# Share of a recipe's learning rate by which heads that start at the discriminant are trained.
FROM_DISCRIMINANT = 0.02


@dataclass(frozen=True, eq=False)
class LinearModel:
    """logits = standardisation(x) @ weight + bias; weight float32 [D, C], bias float32 [C]."""

    standardisation: Standardisation
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def logits(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits of features, float32 [N, D] -> float32 [N, C]."""
        products: npt.NDArray[np.float32] = self.standardisation.apply(features) @ self.weight
        products += self.bias
        return products


# Called with the number of finished epochs and a way to have the models as they stand.
WatchModels = Callable[[int, Callable[[], list[LinearModel]]], None]


def fit_models(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    classes: int,
    recipes: Sequence[Recipe],
    optimisation: Optimisation,
    rows: Rows | None = None,
    watch: WatchModels | None = None,
) -> list[LinearModel]:
    """Train a model for each recipe, in their order, all in one pass over the features.

    Only the given rows are looked at: mean, scale and scatter are theirs. With recipes that standardise and
    others that do not, it is a pass for each kind.

    Args:
        features: the blocks that all the recipes name, raw, float32 [N, D]; never copied as a whole.
        labels: class of each row in 0..classes-1, [N].
        classes: C.
        recipes: what to train; all of one feature set.
        optimisation: steps, batches, device.
        rows: those to train on; None takes all.
        watch: called before the first step and after each epoch; only where all recipes standardise, or none.
            All heads are then trained at once, however much memory that takes.

    Raises:
        LearningError: as `train_heads`.
    """
    rows = np.arange(len(features)) if rows is None else rows
    batch = min(len(rows), optimisation.batch_size)
    operations = 2.0 * batch * features.shape[1] * len(recipes) * classes
    optimisation = optimisation.for_products_of(operations)
    models: dict[int, LinearModel] = {}
    with threads_for(operations):
        scatter = measure_scatter(features, labels, classes, rows)
        for standardise in dict.fromkeys(recipe.standardise for recipe in recipes):
            own = [number for number, recipe in enumerate(recipes) if recipe.standardise == standardise]
            fitted = _fit(
                features, labels, rows, scatter, [recipes[number] for number in own], optimisation, watch
            )
            models.update(zip(own, fitted, strict=True))
    return [models[number] for number in range(len(recipes))]


def _fit(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    rows: Rows,
    scatter: Scatter,
    recipes: Sequence[Recipe],
    optimisation: Optimisation,
    watch: WatchModels | None,
) -> list[LinearModel]:
    import torch

    standardisation = scatter.standardisation()
    scale = standardisation.scale
    if not recipes[0].standardise:
        scale = np.full_like(scale, scatter.common_scale())
    basis = scatter.basis(scale)
    precision = torch.bfloat16 if optimisation.precision == "bf16" else torch.float32
    inputs = basis.project(features, rows, standardisation.mean, scale, precision)
    own_labels, classes = labels[rows], len(scatter.photos)
    some = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64))
    sample = inputs[some].float().numpy()
    # Models are given for standardised columns, whatever the heads saw.
    back = basis.axes * (standardisation.scale / scale)[:, None]

    def models(trained: Heads) -> list[LinearModel]:
        return [
            LinearModel(standardisation, back @ weight, bias)
            for weight, bias in zip(trained.weight, trained.bias, strict=True)
        ]

    watch_heads: Watch | None = None
    if watch is not None:
        told = watch
        watch_heads = lambda epochs, now: told(epochs, lambda: models(now()))  # noqa: E731
    fitted: list[LinearModel] = []
    for portion in [recipes] if watch else _portions(recipes, features.shape[1] * classes):
        heads = [recipe.head(len(rows)) for recipe in portion]
        stretches = np.stack([basis.stretch(recipe.shrinkage) for recipe in portion])
        start: Heads | None = None
        if len(rows) > optimisation.batch_size:
            # Few steps per photo: heads start where training would take epochs to get, and need small steps
            # from there. With all photos in every step, heads that start at 0 and stop early do better on the
            # folds.
            start = discriminant_heads(basis, sample, own_labels[some], stretches, heads)
            heads = [replace(head, learning_rate=FROM_DISCRIMINANT * head.learning_rate) for head in heads]
        fitted += models(
            train_heads(inputs, own_labels, classes, heads, optimisation, stretches, start, watch_heads)
        )
    return fitted


def _portions(recipes: Sequence[Recipe], weights: int) -> list[Sequence[Recipe]]:
    # As few as hold at most WEIGHTS_AT_ONCE each, all about as large.
    most = max(1, WEIGHTS_AT_ONCE // weights)
    size = -(-len(recipes) // -(-len(recipes) // most))
    return [recipes[start : start + size] for start in range(0, len(recipes), size)]
