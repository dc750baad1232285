"""Multinomial logistic regression on blocks of features: a few heads trained in one pass over the photos."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.vision.backbone.encoder import resolve_precision

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]

# Photos looked at together while standardising: 50 MB of 3,072 columns.
PIECE = 4096
# A column whose spread is below this share of its size holds nothing but rounding.
CONSTANT = 1e-6
BATCH, FEWEST_STEPS, BETAS = 1024, 300, (0.9, 0.99)
# Of Adam, over the root of the columns: the more there are, the less each weight has to say.
LEARNING_RATE = 0.1
# Products of fewer operations are not worth bf16.
LARGE = 1e9


@dataclass(frozen=True, eq=False)
class LinearHead:
    """logits = ((x - mean) / scale) @ weight + bias; mean and scale [D], weight [D, C], bias [C], float32."""

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats

    def logits(self, blocks: Sequence[Floats]) -> Floats:
        """Logits of photos whose blocks side by side have D columns: float32 [N, C]."""
        found = np.empty((len(blocks[0]), len(self.bias)), np.float32)
        for start in range(0, len(found), PIECE):
            piece = np.hstack([block[start : start + PIECE] for block in blocks])
            piece -= self.mean
            piece /= self.scale
            found[start : start + PIECE] = piece @ self.weight + self.bias
        return found


def column_moments(block: Floats, rows: Rows) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the columns over some rows, float32 [D]; constant columns have 1."""
    # Far from 0 sums of squares lose their digits: distances are taken from a first guess.
    guess = block[rows[:PIECE]].mean(axis=0, dtype=np.float64)
    sums, squares = np.zeros_like(guess), np.zeros_like(guess)
    for start in range(0, len(rows), PIECE):
        piece = block[rows[start : start + PIECE]] - guess
        sums += piece.sum(axis=0)
        squares += np.einsum("ij,ij->j", piece, piece)
    mean = guess + sums / len(rows)
    spread = np.sqrt(np.maximum(squares / len(rows) - (sums / len(rows)) ** 2, 0))
    constant = spread <= CONSTANT * np.abs(mean)
    return mean.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32)


def fit_heads(
    blocks: Sequence[Floats],
    labels: npt.NDArray[np.integer],
    classes: int,
    strengths: Sequence[float],
    epochs: int,
    seed: int,
    rows: Rows | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[LinearHead]:
    """Train a head for each strength by Adam, all of them in the same pass; the outcome is reproducible.

    From the logits the logarithm of each class's share of the photos is taken: Menon et al., "Long-tail
    learning via logit adjustment" (2021). What is rare in training then is not rarer still in the answers.

    The gradient of the cross entropy is written out, softmax(logits) - target, and the blocks are copied
    once, standardised: at 168,144 photos of 3,072 columns that is 1 GB in bf16, which is taken where the
    processor has units for it.

    Args:
        blocks: raw features, each float32 [N, D_i].
        labels: class of each row in 0..classes-1, [N].
        classes: C; one without a photo gets a column that says no.
        strengths: C of scikit-learn, one per head.
        epochs: passes over the photos; small sets get 300 steps at least.
        seed: of the batches.
        rows: those to train on; None takes all.
        progress: called with a line after each epoch of a large set.

    Raises:
        LearningError: no photo, or a head that did not converge to finite numbers.
    """
    import torch

    rows = np.arange(len(labels)) if rows is None else rows
    if len(rows) == 0:
        raise LearningError("No photo is left to train a head on.")
    heads, dims = len(strengths), sum(block.shape[1] for block in blocks)
    size = min(BATCH, len(rows))
    large = 2.0 * size * dims * heads * classes > LARGE
    half = large and resolve_precision("auto", "cpu") == "bf16"
    dtype = torch.bfloat16 if half else torch.float32
    moments = [column_moments(block, rows) for block in blocks]
    mean, scale = (np.concatenate(parts) for parts in zip(*moments, strict=True))
    inputs = torch.empty(len(rows), dims, dtype=dtype)
    for start in range(0, len(rows), PIECE):
        piece = np.hstack([block[rows[start : start + PIECE]] for block in blocks])
        piece -= mean
        piece /= scale
        inputs[start : start + PIECE] = torch.from_numpy(piece).to(dtype)
    answers = torch.from_numpy(labels[rows].astype(np.int64))
    decay = torch.tensor([1 / (strength * len(rows)) for strength in strengths])[:, None]
    weight, bias = torch.zeros(dims, heads, classes), torch.zeros(heads, classes)
    rate = LEARNING_RATE / math.sqrt(dims)
    adam = torch.optim.Adam([weight, bias], lr=rate, betas=BETAS, fused=True)
    generator = torch.Generator().manual_seed(seed)
    epoch_steps = math.ceil(len(rows) / size)
    steps = max(FEWEST_STEPS, epochs * epoch_steps)
    order = torch.arange(len(rows))
    threads = torch.get_num_threads()
    if not large:
        # Two threads lose more by waiting for each other than they gain, on a busy machine tenfold.
        torch.set_num_threads(1)
    for step in range(steps):
        at = step % epoch_steps
        if epoch_steps > 1 and at == 0:
            order = torch.randperm(len(rows), generator=generator)
            if step and large:
                progress(f"head: {step} of {steps} steps")
        batch = order[at * size : (at + 1) * size]
        chosen = inputs if epoch_steps == 1 else inputs[batch]
        error = (chosen @ weight.flatten(1).to(dtype)).float().view(len(batch), heads, classes)
        error = torch.softmax(error.add_(bias), dim=2)
        error[torch.arange(len(batch)), :, answers[batch]] -= 1
        error /= len(batch)
        bias.grad = error.sum(dim=0)
        gradient = (chosen.T @ error.flatten(1).to(dtype)).float().view_as(weight)
        weight.grad = gradient.addcmul_(decay, weight)
        adam.param_groups[0]["lr"] = rate * _rise_and_fall(step, steps)
        adam.step()
    torch.set_num_threads(threads)
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise LearningError("A head diverged: look for columns of huge values in the embeddings.")
    # A species without a photo says no, so it is made no likelier than the most frequent one.
    photos = np.bincount(labels[rows], minlength=classes)
    adjustment = np.log(np.where(photos > 0, photos, photos.max()) / len(rows)).astype(np.float32)
    return [
        LinearHead(mean, scale, weight[:, head].contiguous().numpy(), bias[head].numpy() - adjustment)
        for head in range(heads)
    ]


def _rise_and_fall(step: int, steps: int) -> float:
    # The learning rate's share: up over a tenth of the steps, then along a cosine to 0.
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
