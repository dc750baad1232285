"""From photos to observations: the photos' probabilities become the observation's."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.probabilities import softmax

Pooling = Literal["mean", "log_mean", "entropy"]
POOLINGS: tuple[Pooling, ...] = ("mean", "log_mean", "entropy")

# Without a floor one photo's zero would rule a species out whatever the other photos say.
LEAST_PROBABILITY = 1e-12
# What a photo that knows nothing still weighs beside one that is certain.
LEAST_CERTAINTY = 1e-3


def pool_observations(
    probabilities: npt.NDArray[np.floating],
    observation_id: Sequence[str],
    order: Sequence[str] | None = None,
    pooling: Pooling = "mean",
    weights: npt.NDArray[np.floating] | None = None,
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Pool the probabilities of each observation's photos.

    "mean" is their weighted mean. "log_mean" is their weighted geometric mean, made to sum to 1;
    probabilities below 1e-12 count as 1e-12. "entropy" is the mean in which a photo also weighs 1 - H / ln C,
    how certain it is, but at least 0.001: H is the entropy of its C probabilities in nats.

    Args:
        probabilities: one row per photo, [N, C].
        observation_id: observation of each photo, N.
        order: the observations wanted, in the order wanted; None takes those of the photos, first
            seen first. An observation of `order` without a photo gets a row of NaN.
        pooling: how.
        weights: what each photo weighs in its observation (the score of its crop, say), [N], 0 or more;
            None weighs all alike. An observation whose weights are all 0 is pooled as if they were alike.

    Returns:
        The O observations and their probabilities, float64 [O, C].

    Raises:
        LearningError: lengths that differ, `order` repeating an observation or lacking one that has photos,
            a weight that is negative or not finite.
    """
    if len(probabilities) != len(observation_id):
        raise LearningError(f"{len(probabilities)} rows of probabilities for {len(observation_id)} photos.")
    observations, rows = _places(observation_id, order)
    photo_weights = _relative(weights, rows, len(observations))
    if pooling == "entropy":
        photo_weights *= _certainty(probabilities)
    values = probabilities
    if pooling == "log_mean":
        values = np.log(np.maximum(probabilities, LEAST_PROBABILITY, dtype=np.float64))
    pooled = _sum_by_observation(values, photo_weights, rows, len(observations))
    totals = np.bincount(rows, weights=photo_weights, minlength=len(observations))
    pooled[totals > 0] /= totals[totals > 0, None]
    if pooling == "log_mean":
        pooled = softmax(pooled, 1.0)
    pooled[totals == 0] = np.nan
    return observations, pooled


def _places(
    observation_id: Sequence[str], order: Sequence[str] | None
) -> tuple[list[str], npt.NDArray[np.int64]]:
    first_seen = list(dict.fromkeys(observation_id))
    observations = first_seen if order is None else list(order)
    position = {observation: row for row, observation in enumerate(observations)}
    if len(position) != len(observations):
        raise LearningError("The order of observations names one of them twice.")
    unknown = [observation for observation in first_seen if observation not in position]
    if unknown:
        raise LearningError(
            f"{len(unknown)} observations have photos but no place in the order, {unknown[0]!r} first."
        )
    return observations, np.array([position[observation] for observation in observation_id], dtype=np.int64)


def _relative(
    weights: npt.NDArray[np.floating] | None, rows: npt.NDArray[np.int64], observations: int
) -> npt.NDArray[np.float64]:
    # Each photo's weight over the largest of its observation, so that no sum of tiny weights is lost.
    if weights is None:
        return np.ones(len(rows))
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != rows.shape:
        raise LearningError(f"Weights of the shape {given.shape} for {len(rows)} photos.")
    if not (np.isfinite(given) & (given >= 0)).all():
        raise LearningError("A photo's weight is negative or not finite: weights are numbers from 0 up.")
    largest = np.zeros(observations)
    np.maximum.at(largest, rows, given)
    relative = np.ones(len(rows))
    np.divide(given, largest[rows], out=relative, where=largest[rows] > 0)
    return relative


def _certainty(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    # A single species leaves nothing to be uncertain about.
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    from scipy.special import entr

    entropy = entr(probabilities).sum(axis=1, dtype=np.float64)
    certainty: npt.NDArray[np.float64] = np.maximum(
        1 - entropy / np.log(probabilities.shape[1]), LEAST_CERTAINTY
    )
    return certainty


def _sum_by_observation(
    values: npt.NDArray[np.floating],
    weights: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    observations: int,
) -> npt.NDArray[np.float64]:
    sums = np.zeros((observations, values.shape[1]))
    if len(rows):
        by_row = np.argsort(rows, kind="stable")
        photos = np.bincount(rows, minlength=observations)
        starts = np.concatenate([[0], np.cumsum(photos)])[:-1]
        weighted = values[by_row] * weights[by_row, None]
        sums[photos > 0] = np.add.reduceat(weighted, starts[photos > 0], axis=0)
    return sums
