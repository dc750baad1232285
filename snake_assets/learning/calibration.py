"""Temperature scaling at the level of observations.

A temperature divides all logits: Guo et al., "On Calibration of Modern Neural Networks" (2017), here
fitted to what is reported, the mean probability of an observation's photos.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.observations import average_observations
from snake_assets.learning.probabilities import softmax

# Without an end, logits without one error would be divided by ever less.
COLDEST, HOTTEST = 0.05, 20.0
LEAST_PROBABILITY = 1e-12


def log_loss(probabilities: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> float:
    """Mean of -ln p(truth) in nats; probabilities [O, C], truth as column numbers [O].

    A probability below 1e-12 counts as 1e-12.
    """
    of_truth = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())


def fit_temperature(
    logits: npt.NDArray[np.floating], observation_id: Sequence[str], truth: npt.NDArray[np.integer]
) -> float:
    """The temperature with the least log-loss over observations, between 0.05 and 20.

    Args:
        logits: of photos that did not train the head, [N, C].
        observation_id: observation of each photo, N.
        truth: column of each observation's species, [O], observations in first-seen order.

    Raises:
        LearningError: no photo, or not one truth per observation.
    """
    if len(logits) == 0:
        raise LearningError("There is no photo to fit a temperature on.")
    if len(truth) != len(set(observation_id)):
        raise LearningError(f"{len(set(observation_id))} observations but {len(truth)} true species.")

    def loss_at(log_temperature: float) -> float:
        photos = softmax(logits, math.exp(log_temperature))
        return log_loss(average_observations(photos, observation_id)[1], truth)

    # A coarse walk first: the loss of averaged probabilities need not have a single valley.
    ladder = np.linspace(math.log(COLDEST), math.log(HOTTEST), 13)
    lowest = int(np.argmin([loss_at(step) for step in ladder]))
    low, high = ladder[max(0, lowest - 1)], ladder[min(len(ladder) - 1, lowest + 1)]

    from scipy.optimize import minimize_scalar

    best = minimize_scalar(loss_at, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return math.exp(float(best.x))
