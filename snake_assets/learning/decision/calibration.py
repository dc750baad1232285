"""How far probabilities may be believed: fitting a temperature, and reliability.

After Guo et al., "On Calibration of Modern Neural Networks" (2017). A temperature divides all logarithms; it
is fitted to what is reported, the pooled probabilities of an observation's photos.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.decision.pooling import LEAST_PROBABILITY, tempered

# Without an end, probabilities without one error would be sharpened for ever.
COLDEST, HOTTEST = 0.05, 20.0
BINS, DRAWS = 10, 200


def log_loss(probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> float:
    """Mean of -ln p(truth) in nats, p at least 1e-12; probabilities [O, C], truth as column numbers [O]."""
    of_truth = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())


def fit_temperature(probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> float:
    """The temperature with the least log-loss, between 0.05 and 20; arguments as in `log_loss`."""
    from scipy.optimize import minimize_scalar

    # Convex in 1 / temperature, so there is one valley.
    best = minimize_scalar(
        lambda cold: log_loss(tempered(probabilities, 1 / cold), truth),
        bounds=(1 / HOTTEST, 1 / COLDEST),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.clip(1 / float(best.x), COLDEST, HOTTEST))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often statements of a stated probability come true, in B bins of equal width over 0..1.

    Attributes:
        low, high: ends of each bin, float64 [B]. The upper one belongs to it, and 0 to the first.
        count: statements in each, int64 [B].
        confidence, accuracy: mean stated probability, and share that came true, float64 [B]; NaN where the
            bin is empty.
        error: expected calibration error, the mean gap of the two by count, in 0..1.
        error_by_luck: the mean error that the same probabilities would show if each were exactly right.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    error: float
    error_by_luck: float


def reliability(stated: npt.NDArray[np.floating], came_true: npt.NDArray[np.bool_]) -> Reliability:
    """Reliability of yes-or-no statements, "this snake is venomous": probabilities [O], truths [O]."""
    exact = np.asarray(stated, dtype=np.float64)
    edges = np.linspace(0, 1, BINS + 1)
    bin_of = np.searchsorted(edges[1:-1], exact, side="left")
    count = np.bincount(bin_of, minlength=BINS)
    sums = np.bincount(bin_of, weights=exact, minlength=BINS)

    def hits(true: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return np.bincount(bin_of, weights=true, minlength=BINS).astype(np.float64)

    def error(true: npt.NDArray[np.bool_]) -> float:
        return math.fsum(np.abs(hits(true) - sums)) / len(exact)

    rng = np.random.default_rng(0)
    with np.errstate(invalid="ignore"):
        confidence, accuracy = sums / count, hits(came_true) / count
    return Reliability(
        edges[:-1],
        edges[1:],
        count,
        confidence,
        accuracy,
        error(came_true),
        float(np.mean([error(rng.random(len(exact)) < exact) for _ in range(DRAWS)])),
    )
