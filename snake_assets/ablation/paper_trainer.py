"""The paper's trainer: one linear layer, a part of train held out, a checkpoint after each epoch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.ablation.steps import PaperTrainer
from snake_assets.learning.cross_validation.folds import grouped_folds
from snake_assets.learning.decision.calibration import log_loss
from snake_assets.learning.decision.pooling import softmax
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.linear_head import LinearHead, column_moments

# One photo in so many is held out; photos in a step of Adam.
HELD_OUT, BATCH_SIZE = 5, 32


@dataclass(frozen=True, eq=False)
class PaperModel:
    """What the paper's trainer gives, and what it believes of itself.

    Attributes:
        head: of the submitted epoch.
        class_ids: species of each output column, ascending, int32 [C].
        prior: share of each species among the photos of the table, float64 [C].
        accuracy: of the submitted epoch on the held-out photos, in percent.
        losses: on the held-out photos after each epoch, nats.
        submitted: the epoch submitted, from 1.
        leaked: share of the held-out photos whose observation was trained on too.
    """

    head: LinearHead
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
        run: its number, from 0, the seed of split and batches.

    Raises:
        LearningError: no labels, a single species, or nothing to hold out (see `grouped_folds`).
    """
    import torch

    if table.class_id is None or np.unique(table.class_id).size < 2:
        raise LearningError("Training needs photos of two species or more, with their class_id.")
    class_ids, labels = np.unique(table.class_id, return_inverse=True)
    # A photo that is its own observation, and has no copies, may lie on either side.
    by_photo = trainer.split_by == "photo"
    groups, copies = (table.image_id, None) if by_photo else (table.observation_id, table.sha256)
    held_out = grouped_folds(groups, labels, copies, HELD_OUT, run) == 0
    features, seen = table.blocks[trainer.features], np.flatnonzero(~held_out)
    mean, scale = np.zeros(features.shape[1], np.float32), np.ones(features.shape[1], np.float32)
    if trainer.standardised:
        mean, scale = column_moments(features, seen)
    inputs = torch.from_numpy((features[seen] - mean) / scale)
    answers = torch.from_numpy(labels[seen].astype(np.int64))
    weight = torch.zeros(features.shape[1], len(class_ids), requires_grad=True)
    bias = torch.zeros(len(class_ids), requires_grad=True)
    adam = torch.optim.Adam([weight, bias], lr=trainer.learning_rate, betas=(0.9, 0.99), fused=True)
    generator = torch.Generator().manual_seed(run)
    epochs: list[tuple[float, float, LinearHead]] = []
    while len(epochs) < trainer.epochs:
        order = torch.randperm(len(seen), generator=generator)
        for start in range(0, len(seen), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            adam.zero_grad()
            loss = torch.nn.functional.cross_entropy(inputs[batch] @ weight + bias, answers[batch])
            torch.autograd.backward(loss)
            adam.step()
        head = LinearHead(mean, scale, weight.detach().numpy().copy(), bias.detach().numpy().copy())
        probabilities = softmax(head.logits([features[held_out]]))
        right = float((probabilities.argmax(axis=1) == labels[held_out]).mean())
        epochs.append((log_loss(probabilities, labels[held_out]), round(100 * right, 2), head))
        if len(epochs) - 1 - int(np.argmin([loss for loss, _, _ in epochs])) == trainer.patience:
            break
    losses = tuple(loss for loss, _, _ in epochs)
    submitted = len(losses) - 1 if trainer.checkpoint == "last" else int(np.argmin(losses))
    observations = np.array(table.observation_id)
    return PaperModel(
        head=epochs[submitted][2],
        class_ids=class_ids,
        prior=np.bincount(labels) / len(labels),
        accuracy=epochs[submitted][1],
        losses=losses,
        submitted=submitted + 1,
        leaked=float(np.isin(observations[held_out], observations[~held_out]).mean()),
    )
