"""Where heads start: the linear discriminant, which is in closed form what training would take epochs for."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.heads import HeadRecipe, Heads
from snake_assets.learning.losses import MITIGATION, ClassWeighting
from snake_assets.learning.scatter import WithinClassBasis

# Photos by which the discriminant's confidence is measured.
SAMPLE = 1024
CONFIDENCES = tuple(2.0 ** (step / 2) for step in range(-12, 3))
# How much of the log prior a head's own bias holds, if the loss has not taken it on.
_PRIOR_SHARE: dict[ClassWeighting, float] = {"none": 1.0, "seesaw": 1.0 - MITIGATION}


def discriminant_heads(
    basis: WithinClassBasis,
    sample: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    stretches: npt.NDArray[np.float32],
    recipes: Sequence[HeadRecipe],
) -> Heads:
    """Heads of Fisher's linear discriminant, for features in terms of the basis's axes.

    Species means are pulled towards the mean of all by the variance between species over that and the
    variance of a mean of so few photos, axis by axis (empirical Bayes: Efron & Morris, 1973), for a species
    of three photos has a mean of little but noise. How far to trust the whole is then measured on photos
    that are first taken out of their species' mean.

    Args:
        basis: of the training photos.
        sample: some of these photos along the axes, float32 [B, D].
        labels: their classes, [B].
        stretches: factor per axis of each head, float32 [H, D]; its square is the precision along the axis.
        recipes: of the heads, H.
    """
    import torch

    variance, counts, means = basis.variance, basis.photos, basis.class_means
    photos = counts.sum()
    of_means = (counts[:, None] * np.square(means, dtype=np.float64)).sum(axis=0) / photos
    between = np.maximum(of_means - variance * (np.count_nonzero(counts) - 1) / photos, 1e-9)

    def pulled(mean: npt.NDArray[np.float32], count: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        trust = between / (between + variance / np.maximum(count, 1)[:, None])
        return np.asarray(mean * trust * (count > 0)[:, None], dtype=np.float32)

    centres = pulled(means, counts)
    others = counts[labels] - 1
    without = means[labels] - (sample - means[labels]) / np.maximum(others, 1)[:, None]
    own_centres = pulled(without, others)
    log_prior = np.log(np.maximum(counts, 1) / np.maximum(counts, 1).sum()).astype(np.float32)
    weight = np.empty((len(recipes), means.shape[1], len(means)), np.float32)
    bias = np.empty((len(recipes), len(means)), np.float32)
    found: dict[bytes, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = {}
    for head, (stretch, recipe) in enumerate(zip(stretches, recipes, strict=True)):
        key = stretch.tobytes()
        if key not in found:
            precision = np.square(stretch)
            directions, half = (centres * precision).T, 0.5 * (centres**2 @ precision)
            evidence = (torch.from_numpy(sample) @ torch.from_numpy(directions)).numpy()
            evidence -= half
            own = ((sample - 0.5 * own_centres) * own_centres) @ precision
            evidence[np.arange(len(labels)), labels] = own
            confidence = _confidence(evidence, labels, log_prior)
            found[key] = np.multiply(confidence, directions, order="C"), confidence * half
        directions, half = found[key]
        weight[head] = directions
        bias[head] = _PRIOR_SHARE.get(recipe.loss.class_weighting, 0.0) * log_prior - half
    return Heads(weight, bias)


def _confidence(
    evidence: npt.NDArray[np.float32], labels: npt.NDArray[np.integer], log_prior: npt.NDArray[np.float32]
) -> np.float32:
    # The factor of the evidence under which the photos' species are likeliest.
    import torch

    scores, answers = torch.from_numpy(evidence), torch.from_numpy(labels.astype(np.int64))
    prior = torch.from_numpy(log_prior)

    def loss(step: int) -> float:
        scaled = torch.add(prior, scores, alpha=CONFIDENCES[step])
        return float(torch.nn.functional.cross_entropy(scaled, answers))

    # Convex in the factor: the least is where it stops to fall.
    steps = range(len(CONFIDENCES) - 1)
    least = bisect_left(steps, True, key=lambda step: loss(step) <= loss(step + 1))
    return np.float32(CONFIDENCES[least])
