"""From photos to observations: the mean of an observation's photos."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError


def average_observations(
    probabilities: npt.NDArray[np.floating],
    observation_id: Sequence[str],
    order: Sequence[str] | None = None,
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Average the probabilities of each observation's photos.

    Args:
        probabilities: one row per photo, [N, C].
        observation_id: observation of each photo, N.
        order: the observations wanted, in the order wanted; None takes those of the photos, first
            seen first. An observation of `order` without a photo gets a row of NaN.

    Returns:
        The O observations and their probabilities, float64 [O, C].

    Raises:
        LearningError: lengths that differ, `order` repeating an observation or lacking one that has photos.
    """
    if len(probabilities) != len(observation_id):
        raise LearningError(f"{len(probabilities)} rows of probabilities for {len(observation_id)} photos.")
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
    rows = np.array([position[observation] for observation in observation_id], dtype=np.int64)
    sums, photos = sum_by_observation(probabilities, rows, len(observations))
    sums[photos == 0] = np.nan
    sums[photos > 0] /= photos[photos > 0, None]
    return observations, sums


def sum_by_observation(
    values: npt.NDArray[np.floating], rows: npt.NDArray[np.int64], observations: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Sum the photos' values [N, C] into rows [N] of the result: float64 [O, C], and photos per row [O]."""
    sums = np.zeros((observations, values.shape[1]))
    photos = np.bincount(rows, minlength=observations)
    if len(rows):
        sorted_rows = np.argsort(rows, kind="stable")
        starts = np.concatenate([[0], np.cumsum(photos)])[:-1]
        sums[photos > 0] = np.add.reduceat(values[sorted_rows], starts[photos > 0], axis=0, dtype=np.float64)
    return sums, photos
