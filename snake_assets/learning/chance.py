"""What guessing scores: the level below which a result means nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import score


def chance_level(
    truth: Sequence[int] | npt.NDArray[np.integer],
    venomous: Mapping[int, bool],
    candidate_classes: Sequence[int] | npt.NDArray[np.integer],
    draws: int = 200,
    seed: int = 0,
) -> dict[str, float]:
    """Mean official scores of uniform random guessing among the candidate classes, by simulation.

    Args:
        truth: class_id of each observation, [O].
        venomous: class_id -> is venomous, for all true and candidate classes.
        candidate_classes: class_ids guessed from.
        draws: how many times the whole set is guessed.
        seed: of the guesses.

    Returns:
        Means of "track1", "track2", "f1" and "accuracy" over the draws.

    Raises:
        LearningError: nothing to guess, nothing to guess from, or no draw.
        DataError: a class without a venom status.
    """
    if len(truth) == 0 or len(candidate_classes) == 0 or draws < 1:
        raise LearningError(
            f"{len(truth)} observations, {len(candidate_classes)} species and {draws} draws: "
            f"guessing needs at least one of each."
        )
    rng = np.random.default_rng(seed)
    guesses = rng.choice(np.sort(np.asarray(candidate_classes)), size=(draws, len(truth)))
    scores = [score(truth, guess, venomous) for guess in guesses]
    return {
        name: float(np.mean([getattr(one, name) for one in scores]))
        for name in ("track1", "track2", "f1", "accuracy")
    }
