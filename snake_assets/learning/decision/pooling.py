"""From photos to observations: the photos' probabilities become the observation's."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

# Without a floor one photo's zero would rule a species out whatever the other photos say.
LEAST_PROBABILITY = 1e-12


def softmax(logits: npt.NDArray[np.floating], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """softmax(logits / temperature) over the last axis, in float64; any shape [..., C]."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


def tempered(probabilities: npt.NDArray[np.floating], temperature: float) -> npt.NDArray[np.float64]:
    """Probabilities [..., C], 1e-12 at least, to the power of 1 / temperature and made to sum to 1.

    It may come before or after pooling by "log_mean": the outcome is the same.
    """
    return softmax(np.log(np.maximum(probabilities, LEAST_PROBABILITY)), temperature)


def pool_observations(
    probabilities: npt.NDArray[np.floating],
    observation_id: Sequence[str],
    order: Sequence[str] | None = None,
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Pool photos by their geometric mean, made to sum to 1; probabilities below 1e-12 count as 1e-12.

    Args:
        probabilities: one row per photo, [N, C].
        observation_id: observation of each photo, N.
        order: the observations wanted, in the order wanted; None takes those of the photos, first seen first.
            An observation of `order` without a photo gets a row of NaN.

    Returns:
        The O observations and their probabilities, float64 [O, C].

    Raises:
        LearningError: `order` repeats an observation, or lacks one that has photos.
    """
    values = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST_PROBABILITY))
    observations, rows = observation_rows(observation_id, order)
    return observations, softmax(mean_by_observation(values, rows, len(observations)))


def observation_rows(
    observation_id: Sequence[str], order: Sequence[str] | None = None
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The observations, and the place of each photo's among them, int64 [N]; as in `pool_observations`."""
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


def mean_by_observation(
    values: npt.NDArray[np.floating], rows: npt.NDArray[np.int64], observations: int
) -> npt.NDArray[np.float64]:
    """Mean of the values [N, C] at each place 0..observations-1, float64 [O, C]; NaN where there is none."""
    photos = np.bincount(rows, minlength=observations)
    means = np.full((observations, values.shape[1]), np.nan)
    if len(rows):
        starts = np.concatenate([[0], np.cumsum(photos)])[:-1][photos > 0]
        sums = np.add.reduceat(values[np.argsort(rows, kind="stable")], starts, axis=0, dtype=np.float64)
        means[photos > 0] = sums / photos[photos > 0, None]
    return means
