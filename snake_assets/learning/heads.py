"""Linear heads: many of them, trained at once in one pass over the features."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from snake_assets.learning.batches import BalancedBatches, ShuffledBatches
from snake_assets.learning.errors import LearningError
from snake_assets.learning.losses import HeadLoss, LossGradients
from snake_assets.learning.threads import WORTH_THREADS
from snake_assets.vision.backbone.devices import resolve_precision

if TYPE_CHECKING:
    import torch

# Logits of one batch that are in memory at once, 64 MB: heads beyond that take turns within a step.
LOGITS_AT_ONCE = 1 << 24
BETAS = (0.9, 0.99)

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class HeadRecipe:
    """What one head minimises: mean loss + weight_decay / 2 * ||W||^2, the bias left free.

    Attributes:
        weight_decay: L2 strength, per mean photo.
        loss: of a photo.
        learning_rate: peak step of Adam for this head.
    """

    weight_decay: float
    loss: HeadLoss = field(default_factory=HeadLoss)
    learning_rate: float = 0.05


@dataclass(frozen=True)
class Optimisation:
    """How heads are trained: Adam, by default with a learning rate that rises over a tenth of the steps, then
    falls to 0.

    Attributes:
        epochs: passes over the photos, at least.
        minimum_steps: steps, at least; where one batch holds all photos it is their number.
        batch_size: photos per step; with no more photos than that every step sees them all.
        seed: of the batches. Nothing else is random.
        device: torch device that holds features and heads.
        precision: of the matrix product of features and weights; all else is fp32. "auto" is bf16 for large
            products where the device has units for it, else fp32.
        constant_rate: whether the learning rate stays at its peak throughout.
    """

    epochs: int = 10
    minimum_steps: int = 100
    batch_size: int = 4096
    seed: int = 0
    device: str = "cpu"
    precision: Precision = "fp32"
    constant_rate: bool = False

    def steps(self, photos: int) -> int:
        """Steps to train so many photos."""
        return max(self.minimum_steps, self.epochs * self.epoch_steps(photos))

    def for_products_of(self, operations: float) -> "Optimisation":
        """The same with "auto" settled, for products of so many floating point operations."""
        if self.precision != "auto":
            return self
        large = operations >= WORTH_THREADS
        fast = large and resolve_precision("auto", self.device) == "bf16"
        return replace(self, precision="bf16" if fast else "fp32")

    def epoch_steps(self, photos: int) -> int:
        """Steps in which every photo is seen once."""
        return math.ceil(photos / self.batch_size)


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
    features: "npt.NDArray[np.float32] | torch.Tensor",
    labels: npt.NDArray[np.integer],
    classes: int,
    recipes: Sequence[HeadRecipe],
    optimisation: Optimisation,
    input_scale: npt.NDArray[np.float32] | None = None,
    start: Heads | None = None,
    watch: Watch | None = None,
) -> Heads:
    """Train a head for each recipe, all of them in the same pass over the features.

    Heads of one learning rate and one way to draw batches share their matrix products. The same call gives
    the same heads, bit for bit, on the same machine with the same number of threads; no global seed, thread
    count or determinism setting is touched.

    Args:
        features: standardised, about unit variance, float32 [N, D]; a tensor is taken as it is.
        labels: class of each photo in 0..classes-1, [N].
        classes: C; a class without a photo gets a head column that says no.
        recipes: one per head, H.
        optimisation: steps, batches, device.
        input_scale: float32 [H, D], by which head h sees the columns multiplied, so that heads with
            differently scaled inputs share the features; None leaves them as they are.
        start: heads to start at, for the features as given; None starts at 0.
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

    size = min(len(labels), optimisation.batch_size)
    optimisation = optimisation.for_products_of(2.0 * size * features.shape[1] * len(recipes) * classes)
    device = torch.device(optimisation.device)
    given = torch.from_numpy(np.ascontiguousarray(features)) if isinstance(features, np.ndarray) else features
    inputs = given.to(device, torch.bfloat16 if optimisation.precision == "bf16" else torch.float32)
    targets = torch.from_numpy(labels.astype(np.int64)).to(device)
    scale = np.ones((len(recipes), inputs.shape[1]), np.float32) if input_scale is None else input_scale
    if start is None:
        start = Heads(*_zeros(len(recipes), inputs.shape[1], classes))
    if watch is not None:
        watch(0, lambda: start)
    photos = np.bincount(labels, minlength=classes)
    together = _groups(recipes, max(1, LOGITS_AT_ONCE // (size * classes)))
    groups = [_Group(members, recipes, start, scale, photos, device) for members in together]
    # One for all groups, for they take turns; fresh memory for every step would take longer than to fill it.
    buffer = torch.empty(size * classes * max(map(len, together)), device=device)
    shuffled = ShuffledBatches(len(labels), optimisation.batch_size, optimisation.seed)
    balanced = BalancedBatches(labels, optimisation.batch_size, optimisation.seed)
    steps, epoch_steps = optimisation.steps(len(labels)), optimisation.epoch_steps(len(labels))
    for step in range(steps):
        if watch is not None and step and step % epoch_steps == 0:
            watch(step // epoch_steps, lambda: _collected(groups, len(recipes), scale))
        share = 1.0 if optimisation.constant_rate else _rise_and_fall(step, steps)
        for source in (shuffled, balanced):
            own = [group for group in groups if group.resampled == (source is balanced)]
            if own:
                batch = source.next()
                chosen, answers = (inputs, targets) if batch is None else (inputs[batch], targets[batch])
                for group in own:
                    group.step(chosen, answers, share, buffer)

    heads = _collected(groups, len(recipes), scale)
    if not (np.isfinite(heads.weight).all() and np.isfinite(heads.bias).all()):
        raise LearningError("A head diverged: lower learning_rate, and check that features are standardised.")
    if watch is not None:
        watch(math.ceil(steps / epoch_steps), lambda: heads)
    return heads


class _Group:
    """Heads that share their matrix products: of one learning rate and one way to draw batches."""

    def __init__(
        self,
        members: list[int],
        recipes: Sequence[HeadRecipe],
        start: Heads,
        scale: npt.NDArray[np.float32],
        photos: npt.NDArray[np.integer],
        device: "torch.device",
    ) -> None:
        import torch

        own = [recipes[head] for head in members]
        self.members = members
        self.resampled = _resampled(own[0])
        self._scale = torch.from_numpy(scale[members].T.copy()).to(device)[:, :, None]
        self._decay = torch.tensor([recipe.weight_decay for recipe in own], device=device)[:, None]
        self._losses = LossGradients([recipe.loss for recipe in own], photos, device)
        weight = torch.from_numpy(start.weight[members].transpose(1, 0, 2).copy()).to(device)
        self.weight = (weight / self._scale).contiguous()
        self.bias = torch.from_numpy(start.bias[members].copy()).to(device)
        self._rate = own[0].learning_rate
        self._adam = torch.optim.Adam([self.weight, self.bias], lr=self._rate, betas=BETAS, fused=True)

    def step(
        self, chosen: "torch.Tensor", answers: "torch.Tensor", share: float, buffer: "torch.Tensor"
    ) -> None:
        """Move by `share` of the learning rate; `buffer` has room for the logits."""
        weight = (self._scale * self.weight).flatten(1).to(chosen.dtype)
        logits = buffer[: len(answers) * self.bias.numel()].view(len(answers), *self.bias.shape)
        logits.copy_((chosen @ weight).view_as(logits))
        logits += self.bias
        error = self._losses.of(logits, answers)
        self.bias.grad = error.mean(dim=0)
        gradient = (chosen.T @ error.flatten(1).to(chosen.dtype)).float().view_as(self.weight)
        gradient *= self._scale / len(answers)
        self.weight.grad = gradient.addcmul_(self._decay, self.weight)
        self._adam.param_groups[0]["lr"] = share * self._rate
        self._adam.step()
        # Else every group would hold one until its next turn.
        self.weight.grad = None


def _groups(recipes: Sequence[HeadRecipe], largest: int) -> list[list[int]]:
    # Numbers of the recipes that go together, at most `largest` in a group.
    alike: dict[tuple[bool, float], list[int]] = {}
    for head, recipe in enumerate(recipes):
        alike.setdefault((_resampled(recipe), recipe.learning_rate), []).append(head)
    return [own[at : at + largest] for own in alike.values() for at in range(0, len(own), largest)]


def _resampled(recipe: HeadRecipe) -> bool:
    return recipe.loss.class_weighting == "resampled"


def _collected(groups: Sequence[_Group], count: int, scale: npt.NDArray[np.float32]) -> Heads:
    weight, bias = _zeros(count, *groups[0].weight.shape[::2])
    for group in groups:
        weight[group.members] = group.weight.permute(1, 0, 2).cpu().numpy()
        bias[group.members] = group.bias.cpu().numpy()
    weight *= scale[:, :, None]
    return Heads(weight, bias)


def _zeros(heads: int, dims: int, classes: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return np.zeros((heads, dims, classes), np.float32), np.zeros((heads, classes), np.float32)


def _rise_and_fall(step: int, steps: int) -> float:
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
