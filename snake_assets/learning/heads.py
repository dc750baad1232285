"""Linear heads: many of them, trained at once in one pass over the features."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

if TYPE_CHECKING:
    import torch

ClassWeighting = Literal["none", "balanced", "logit_adjusted"]


@dataclass(frozen=True)
class HeadRecipe:
    """What one head minimises: mean weighted cross entropy + weight_decay / 2 * ||W||^2.

    Attributes:
        weight_decay: L2 strength, per mean photo; the bias is left free.
        class_weighting: "none"; "balanced" weighs a photo by 1 / its species' count; "logit_adjusted"
            adds the log prior to the logits while training (Menon et al., "Long-tail learning via
            logit adjustment", 2021, eq. 10), so that the head answers as if species were equally common.
        learning_rate: peak step of Adam for this head.
    """

    weight_decay: float
    class_weighting: ClassWeighting = "none"
    learning_rate: float = 0.05


@dataclass(frozen=True)
class Optimisation:
    """How heads are trained: Adam, by default with a learning rate that rises over a tenth of the steps, then
    falls to 0.

    Attributes:
        epochs: passes over the photos, at least.
        minimum_steps: steps, at least; where one batch holds all photos it is their number.
        batch_size: photos per step; with no more photos than that every step sees them all.
        seed: order of the photos in mini-batches. Nothing else is random: heads start at 0.
        device: torch device that holds features and heads.
        precision: of the matrix product of features and weights; all else is fp32.
        constant_rate: whether the learning rate stays at its peak throughout.
    """

    epochs: int = 10
    minimum_steps: int = 100
    batch_size: int = 4096
    seed: int = 0
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    constant_rate: bool = False


@dataclass(frozen=True, eq=False)
class Heads:
    """H heads of C classes on D features: weight float32 [H, D, C], bias float32 [H, C]."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def logits(self, features: npt.NDArray[np.float32], head: int) -> npt.NDArray[np.float32]:
        """Logits of one head, float32 [N, D] -> float32 [N, C]."""
        logits: npt.NDArray[np.float32] = features @ self.weight[head] + self.bias[head]
        return logits


# Called with the number of finished epochs and a way to have the heads as they stand.
Watch = Callable[[int, Callable[[], Heads]], None]


def train_heads(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    classes: int,
    recipes: Sequence[HeadRecipe],
    optimisation: Optimisation,
    input_scale: npt.NDArray[np.float32] | None = None,
    watch: Watch | None = None,
) -> Heads:
    """Train a head for each recipe, all of them on the same batches with one matrix product per step.

    The same call gives the same heads, bit for bit, on the same machine with the same number of
    threads; no global seed, thread count or determinism setting is touched.

    Args:
        features: standardised, about unit variance, float32 [N, D].
        labels: class of each photo in 0..classes-1, [N].
        classes: C; a class without a photo gets a head column that says no.
        recipes: one per head, H.
        optimisation: steps, batches, device.
        input_scale: float32 [H, D], by which head h sees the columns multiplied, so that heads with
            differently scaled inputs share the features; None leaves them as they are.
        watch: called before the first step, and after each epoch.

    Returns:
        Heads for the features as given: the scale is part of their weights.

    Raises:
        LearningError: no photo, no recipe, a label out of range, or heads that did not converge to
            finite numbers.
    """
    import torch

    if len(features) == 0 or len(features) != len(labels):
        raise LearningError(f"{len(features)} photos with {len(labels)} labels cannot train a head.")
    if not recipes:
        raise LearningError("There is no recipe to train a head by.")
    if labels.min() < 0 or labels.max() >= classes:
        raise LearningError(f"Labels from {labels.min()} to {labels.max()} do not fit {classes} classes.")

    device = torch.device(optimisation.device)
    product_type = torch.bfloat16 if optimisation.precision == "bf16" else torch.float32
    inputs = torch.from_numpy(np.ascontiguousarray(features)).to(device, product_type)
    targets = torch.from_numpy(labels.astype(np.int64)).to(device)
    photo_weight, offset = _class_terms(labels, classes, recipes, device)
    scale = torch.ones(features.shape[1], len(recipes), 1, device=device)
    if input_scale is not None:
        scale = torch.from_numpy(input_scale.T.copy()).to(device)[:, :, None]
    decay = torch.tensor([recipe.weight_decay for recipe in recipes], device=device)[:, None]
    rate = torch.tensor([recipe.learning_rate for recipe in recipes], device=device)[:, None]

    weight = _Adam(torch.zeros(features.shape[1], len(recipes), classes, device=device), rate)
    bias = _Adam(torch.zeros(len(recipes), classes, device=device), rate)
    epoch_steps = math.ceil(len(features) / optimisation.batch_size)
    steps = max(optimisation.minimum_steps, optimisation.epochs * epoch_steps)
    batches = _Batches(len(features), optimisation.batch_size, optimisation.seed)
    for step in range(steps):
        if watch is not None and step % epoch_steps == 0:
            watch(step // epoch_steps, lambda: _heads(scale * weight.value, bias.value))
        batch = batches.next()
        chosen, answers = (inputs, targets) if batch is None else (inputs[batch], targets[batch])
        # The gradient of mean cross entropy is written out, softmax(logits) - one_hot(truth): a graph of
        # it would hold several times the memory.
        logits = (chosen @ (scale * weight.value).flatten(1).to(product_type)).float()
        error = _softmax(logits.view(-1, len(recipes), classes) + bias.value + offset)
        rows = torch.arange(len(answers), device=device)
        error[rows, :, answers] -= 1.0
        error *= photo_weight[answers] / len(answers)
        share = 1.0 if optimisation.constant_rate else _rise_and_fall(step, steps)
        bias.step(error.sum(dim=0), share)
        gradient = (chosen.T @ error.flatten(1).to(product_type)).float().view_as(weight.value)
        weight.step(scale * gradient + decay * weight.value, share)

    heads = _heads(scale * weight.value, bias.value)
    if not (np.isfinite(heads.weight).all() and np.isfinite(heads.bias).all()):
        raise LearningError("A head diverged: lower learning_rate, and check that features are standardised.")
    if watch is not None:
        watch(math.ceil(steps / epoch_steps), lambda: heads)
    return heads


def _heads(weight: "torch.Tensor", bias: "torch.Tensor") -> Heads:
    # Weight [D, H, C] and a copy of bias [H, C]: training goes on in it.
    return Heads(weight.permute(1, 0, 2).contiguous().cpu().numpy(), bias.clone().cpu().numpy())


def _class_terms(
    labels: npt.NDArray[np.integer], classes: int, recipes: Sequence[HeadRecipe], device: "torch.device"
) -> "tuple[torch.Tensor, torch.Tensor]":
    # What a photo weighs by its class, [C, H, 1], and what training adds to the logits, [H, C].
    import torch

    photos = np.bincount(labels, minlength=classes)
    counts = np.maximum(photos, 1)
    balanced = len(labels) / (np.count_nonzero(photos) * counts)
    log_prior = np.log(counts / counts.sum())
    plain, nothing = np.ones(classes), np.zeros(classes)
    weights = [balanced if recipe.class_weighting == "balanced" else plain for recipe in recipes]
    offsets = [log_prior if recipe.class_weighting == "logit_adjusted" else nothing for recipe in recipes]
    return (
        torch.tensor(np.stack(weights).T[:, :, None], dtype=torch.float32, device=device),
        torch.tensor(np.stack(offsets), dtype=torch.float32, device=device),
    )


def _softmax(logits: "torch.Tensor") -> "torch.Tensor":
    # In place, over the last axis. torch's own takes ten times as long on a row of 13 species.
    logits -= logits.amax(dim=2, keepdim=True)
    logits.exp_()
    logits /= logits.sum(dim=2, keepdim=True)
    return logits


class _Adam:
    """Adam (Kingma & Ba, 2015) with a learning rate per head, which torch's own lacks for one tensor."""

    FIRST, SECOND, EPSILON = 0.9, 0.99, 1e-8

    def __init__(self, value: "torch.Tensor", rate: "torch.Tensor") -> None:
        import torch

        self.value, self._rate = value, rate
        self._mean, self._square = torch.zeros_like(value), torch.zeros_like(value)
        self._steps = 0

    def step(self, gradient: "torch.Tensor", share: float) -> None:
        """Move by `share` of the learning rate."""
        self._steps += 1
        self._mean.lerp_(gradient, 1 - self.FIRST)
        self._square.mul_(self.SECOND).addcmul_(gradient, gradient, value=1 - self.SECOND)
        size = (self._square / (1 - self.SECOND**self._steps)).sqrt_().add_(self.EPSILON)
        self.value -= (share / (1 - self.FIRST**self._steps)) * self._rate * self._mean / size


class _Batches:
    """Rows of one batch after another, reshuffled each epoch by a generator of its own; None for all."""

    def __init__(self, rows: int, size: int, seed: int) -> None:
        import torch

        self._rows, self._size = rows, size
        self._generator = torch.Generator().manual_seed(seed)
        self._order, self._at = torch.empty(0, dtype=torch.int64), 0

    def next(self) -> "torch.Tensor | None":
        import torch

        if self._rows <= self._size:
            return None
        if self._at >= len(self._order):
            self._order, self._at = torch.randperm(self._rows, generator=self._generator), 0
        batch = self._order[self._at : self._at + self._size]
        self._at += self._size
        return batch


def _rise_and_fall(step: int, steps: int) -> float:
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
