"""Predictions of observations, in columns ready for a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

TOP = 5


@dataclass(frozen=True, eq=False)
class Observed:
    """What is known of O observations before anything is decided.

    Attributes:
        observation_id: O strings.
        probabilities: of each of C species, float64 [O, C].
        photos: readable photos behind them, int32 [O]; 0 means that they are the prior.
    """

    observation_id: Sequence[str]
    probabilities: npt.NDArray[np.float64]
    photos: npt.NDArray[np.int32]


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

    def ranking(self, names: Mapping[int, str] | None = None) -> pl.DataFrame:
        """The most probable species as a table for a person to read, most probable first.

        Args:
            names: class_id -> species; one without a name shows its class_id.

        Returns:
            observation_id, rank (from 1), class_id, species, probability, p_venomous and photos; a row for
            each observation and rank, O * K in all. p_venomous is that of the observation.
        """
        ranks = self.top5_class_id.shape[1]
        species = self.top5_class_id.ravel()
        return pl.DataFrame(
            {
                "observation_id": [name for name in self.observation_id for _ in range(ranks)],
                "rank": np.tile(np.arange(1, ranks + 1), len(self)),
                "class_id": species,
                "species": [(names or {}).get(one, str(one)) for one in species.tolist()],
                "probability": self.top5_probability.ravel(),
                "p_venomous": np.repeat(self.p_venomous, ranks),
                "photos": np.repeat(self.photos, ranks),
            }
        )
