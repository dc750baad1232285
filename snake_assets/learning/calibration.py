"""Calibration at the level of observations: fitting a temperature, and how true probabilities are.

After Guo et al., "On Calibration of Modern Neural Networks" (2017). A temperature divides all logits; here it
is fitted to what is reported, the pooled probability of an observation's photos.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.observations import LEAST_PROBABILITY, Pooling, pool_observations
from snake_assets.learning.probabilities import softmax

# Without an end, logits without one error would be divided by ever less.
COLDEST, HOTTEST = 0.05, 20.0


def log_loss(probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> float:
    """Mean of -ln p(truth) in nats; probabilities [O, C], truth as column numbers [O].

    A probability below 1e-12 counts as 1e-12.
    """
    of_truth = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())


def fit_temperature(
    logits: npt.NDArray[np.floating],
    observation_id: Sequence[str],
    truth: npt.NDArray[np.integer],
    pooling: Pooling = "mean",
    weights: npt.NDArray[np.floating] | None = None,
) -> float:
    """The temperature with the least log-loss over observations, between 0.05 and 20.

    Args:
        logits: of photos that did not train the head, [N, C].
        observation_id: observation of each photo, N.
        truth: column of each observation's species, [O], observations in first-seen order.
        pooling: how an observation's photos are pooled.
        weights: of the photos in the pooling, [N], as in `pool_observations`.

    Raises:
        LearningError: no photo, unusable weights, or not one truth per observation.
    """
    if len(logits) == 0:
        raise LearningError("There is no photo to fit a temperature on.")
    if len(truth) != len(set(observation_id)):
        raise LearningError(f"{len(set(observation_id))} observations but {len(truth)} true species.")

    def loss_at(log_temperature: float) -> float:
        photos = softmax(logits, math.exp(log_temperature))
        _, pooled = pool_observations(photos, observation_id, pooling=pooling, weights=weights)
        return log_loss(pooled, truth)

    # A coarse walk first: the loss of pooled probabilities need not have a single valley.
    ladder = np.linspace(math.log(COLDEST), math.log(HOTTEST), 13)
    lowest = int(np.argmin([loss_at(step) for step in ladder]))
    low, high = ladder[max(0, lowest - 1)], ladder[min(len(ladder) - 1, lowest + 1)]

    from scipy.optimize import minimize_scalar

    best = minimize_scalar(loss_at, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return math.exp(float(best.x))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often statements of a stated probability come true, in B bins of equal width over 0..1.

    Attributes:
        low: lower end of each bin, float64 [B]. A bin holds what is above it, the first one 0 too.
        high: upper end of each bin, which belongs to it, float64 [B].
        count: statements in each bin, int64 [B].
        confidence: mean stated probability of each bin, float64 [B]; NaN where the bin is empty.
        accuracy: share of each bin's statements that came true, float64 [B]; NaN where the bin is empty.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]


def reliability(
    probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.integer], bins: int = 15
) -> Reliability:
    """Reliability of the likeliest species: probabilities [O, C], truth as column numbers [O].

    A truth that has no column, a species that was not trained on, is -1: never right.

    Raises:
        LearningError: as `binary_reliability`.
    """
    if len(probabilities) != len(truth):
        raise LearningError(f"{len(probabilities)} rows of probabilities but {len(truth)} true species.")
    return binary_reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth, bins)


def binary_reliability(
    stated: npt.NDArray[np.floating], came_true: npt.NDArray[np.bool_], bins: int = 15
) -> Reliability:
    """Reliability of yes-or-no statements ("this snake is venomous"): stated probabilities [O], truths [O].

    Raises:
        LearningError: lengths that differ, nothing to judge, a number that is no probability, or no bin.
    """
    if len(stated) != len(came_true):
        raise LearningError(f"{len(stated)} stated probabilities but {len(came_true)} outcomes.")
    if bins < 1 or len(stated) == 0:
        raise LearningError(f"{len(stated)} statements in {bins} bins: at least one of each is needed.")
    # Sums of float32 probabilities may end a little above 1.
    exact = np.asarray(stated, dtype=np.float64)
    if not ((exact >= 0) & (exact <= 1 + 1e-5)).all():
        raise LearningError("A stated probability is not between 0 and 1.")
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], exact, side="left")
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bin_of, weights=exact, minlength=bins) / count
        accuracy = np.bincount(bin_of, weights=came_true, minlength=bins) / count
    return Reliability(edges[:-1], edges[1:], count, confidence, accuracy)


def expected_calibration_error(found: Reliability) -> float:
    """Mean gap of stated and true share over the bins, by count, in 0..1 (Guo et al. 2017, section 2)."""
    filled = found.count > 0
    gaps = np.abs(found.accuracy[filled] - found.confidence[filled])
    return float(np.average(gaps, weights=found.count[filled]))
