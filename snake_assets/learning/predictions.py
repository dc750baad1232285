"""Predictions of observations, in columns ready for a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TOP = 5


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is said about O observations; K = min(5, species).

    Attributes:
        observation_id: O strings.
        class_id: the decided species, int32 [O].
        probability: that of the decided species, float32 [O].
        p_venomous: probability that the snake is medically important venomous, float32 [O].
        top5_class_id: most probable species first, int32 [O, K]. Unless the rule is argmax, the decided one
            need not be the first.
        top5_probability: theirs, float32 [O, K].
        photos: readable photos behind the answer, int32 [O]; 0 means that it comes from the prior alone.
    """

    observation_id: Sequence[str]
    class_id: npt.NDArray[np.int32]
    probability: npt.NDArray[np.float32]
    p_venomous: npt.NDArray[np.float32]
    top5_class_id: npt.NDArray[np.int32]
    top5_probability: npt.NDArray[np.float32]
    photos: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """How many observations."""
        return len(self.observation_id)
