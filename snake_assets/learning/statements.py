"""How far stated probabilities may be believed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.calibration import Reliability, binary_reliability, expected_calibration_error

BINS = 10
DRAWS = 200


@dataclass(frozen=True, eq=False)
class Statements:
    """Yes-or-no statements held against what came true.

    Attributes:
        reliability: in ten bins.
        error: expected calibration error, in 0..1.
        error_by_luck: the mean error that the same probabilities would show if each of
            them were exactly right: above 0, the more so the fewer the observations.
    """

    reliability: Reliability
    error: float
    error_by_luck: float


def hold_against_truth(
    stated: npt.NDArray[np.floating], came_true: npt.NDArray[np.bool_], seed: int = 0
) -> Statements:
    """Reliability of stated probabilities [O], given what came true [O].

    Args:
        stated: in 0..1.
        came_true: whether each statement was true.
        seed: of the draws that tell what luck alone would do.

    Raises:
        LearningError: as `calibration.binary_reliability`.
    """
    found = binary_reliability(stated, came_true, BINS)
    rng = np.random.default_rng(seed)
    lucky = [
        expected_calibration_error(binary_reliability(stated, rng.random(len(stated)) < stated, BINS))
        for _ in range(DRAWS)
    ]
    return Statements(found, expected_calibration_error(found), float(np.mean(lucky)))
