"""The paper's trainer on the package's heads: one linear layer, a part of train held out, checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.ladder.settings import PaperTrainer
from snake_assets.learning.calibration import log_loss
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.fitting import LinearModel
from snake_assets.learning.folds import grouped_folds
from snake_assets.learning.heads import HeadRecipe, Heads, Optimisation, train_heads
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.standardisation import Standardisation, fit_standardisation
from snake_assets.learning.threads import threads_for

HELD_OUT_FOLD = 0


@dataclass(frozen=True, eq=False)
class PaperModel:
    """What the paper's trainer gives, and what it believes of itself.

    Attributes:
        model: of the submitted epoch.
        class_ids: species of each output column, ascending, int32 [C].
        prior: share of each species among the photos of the table, float64 [C].
        accuracy: of the submitted epoch on the held-out photos, in percent.
        losses: on the held-out photos after each epoch, nats.
        submitted: the epoch submitted, from 1.
        leaked: share of the held-out photos whose observation was trained on too.
    """

    model: LinearModel
    class_ids: npt.NDArray[np.int32]
    prior: npt.NDArray[np.float64]
    accuracy: float
    losses: tuple[float, ...]
    submitted: int
    leaked: float


def train_as_the_paper(table: FeatureTable, trainer: PaperTrainer, run: int) -> PaperModel:
    """Train one linear layer as the settings say; the same call gives the same model.

    Args:
        table: labelled photos.
        trainer: the settings; the DCT block is taken as the table has it.
        run: its number, from 0.

    Raises:
        LearningError: no labels, a single species, or nothing to hold out (see `grouped_folds`).
    """
    if table.class_id is None or np.unique(table.class_id).size < 2:
        raise LearningError("Training needs photos of two species or more, with their class_id.")
    class_ids, labels = np.unique(table.class_id, return_inverse=True)
    held_out = _held_out(table, labels, trainer, trainer.seed + run)
    features = table.matrix(trainer.features)
    standardisation = fit_standardisation(features[~held_out]) if trainer.standardised else _none(features)
    inputs = standardisation.apply(features)
    epochs: list[_Epoch] = []

    def keep(finished: int, heads: Callable[[], Heads]) -> None:
        if finished:
            epochs.append(_Epoch.of(heads(), inputs[held_out], labels[held_out]))

    with threads_for(2.0 * trainer.batch_size * features.shape[1] * len(class_ids)):
        train_heads(
            inputs[~held_out],
            labels[~held_out],
            len(class_ids),
            [HeadRecipe(weight_decay=0.0, learning_rate=trainer.learning_rate)],
            Optimisation(
                epochs=trainer.epochs,
                minimum_steps=1,
                batch_size=trainer.batch_size,
                seed=trainer.seed + run,
                constant_rate=True,
            ),
            watch=keep,
        )
    losses = _until_stopped([epoch.loss for epoch in epochs], trainer.patience)
    submitted = len(losses) - 1 if trainer.checkpoint == "last" else int(np.argmin(losses))
    heads = epochs[submitted].heads
    observations = np.array(table.observation_id)
    return PaperModel(
        model=LinearModel(standardisation, heads.weight[0], heads.bias[0]),
        class_ids=class_ids,
        prior=np.bincount(labels) / len(labels),
        accuracy=epochs[submitted].accuracy,
        losses=tuple(losses),
        submitted=submitted + 1,
        leaked=float(np.isin(observations[held_out], observations[~held_out]).mean()),
    )


@dataclass(frozen=True, eq=False)
class _Epoch:
    """A checkpoint: its heads, and their loss (nats) and accuracy (percent) on what is held out."""

    heads: Heads
    loss: float
    accuracy: float

    @classmethod
    def of(cls, heads: Heads, inputs: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> "_Epoch":
        probabilities = softmax(heads.logits(inputs, 0), 1.0)
        right = probabilities.argmax(axis=1) == labels
        return cls(heads, log_loss(probabilities, labels), round(100 * float(right.mean()), 2))


def _until_stopped(losses: list[float], patience: int) -> list[float]:
    # The losses after each epoch up to the one that ends training.
    for epoch in range(len(losses)):
        if epoch - int(np.argmin(losses[: epoch + 1])) == patience:
            return losses[: epoch + 1]
    return losses


def _held_out(
    table: FeatureTable, labels: npt.NDArray[np.integer], trainer: PaperTrainer, seed: int
) -> npt.NDArray[np.bool_]:
    # A photo that is its own observation, and has no copies, may lie on either side.
    by_photo = trainer.split_by == "photo"
    folds = grouped_folds(
        table.image_id if by_photo else table.observation_id,
        labels,
        None if by_photo else table.sha256,
        trainer.held_out,
        seed,
    )
    return np.asarray(folds == HELD_OUT_FOLD)


def _none(features: npt.NDArray[np.float32]) -> Standardisation:
    width = features.shape[1]
    return Standardisation(np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32))
