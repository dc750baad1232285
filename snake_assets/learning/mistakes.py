"""The mistakes, most costly first, and the training photos that look most like them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.predictions import Predictions
from snake_assets.learning.unit_rows import UnitRows, unit_rows
from snake_assets.snakeclef.metric import COSTS

# Training photos compared at a time.
BLOCK = 8192
# Twice as many neighbours are looked at as are shown, since copies of one file are passed over.
COPIES = 2


@dataclass(frozen=True)
class Neighbour:
    """A training photo, its species, and how much it resembles a photo: the cosine of their CLS tokens.

    The mean of train's tokens is subtracted first, since what all photos share says nothing.
    """

    image_id: str
    class_id: int
    cosine: float


@dataclass(frozen=True)
class Mistake:
    """An observation whose species was got wrong.

    `cost` is what Track 2 counts for it, `probability` that of the answer, `p_venomous` that of any venomous
    species. `photos` are the image_ids of its readable photos; `nearest` the training photos that look most
    alike, filled by `with_nearest`.
    """

    observation_id: str
    truth: int
    predicted: int
    cost: int
    probability: float
    p_venomous: float
    photos: tuple[str, ...]
    nearest: tuple[Neighbour, ...] = ()


def all_mistakes(
    predictions: Predictions,
    truth: npt.NDArray[np.integer],
    venomous: Mapping[int, bool],
    features: FeatureTable,
) -> list[Mistake]:
    """Every wrong answer: highest Track 2 cost first, the surest of equals first.

    Args:
        predictions: of O observations.
        truth: their class_id, [O].
        venomous: class_id -> is venomous.
        features: of their readable photos.
    """
    photos: dict[str, list[str]] = {}
    for image_id, observation in zip(features.image_id, features.observation_id, strict=True):
        photos.setdefault(observation, []).append(image_id)
    found = [
        Mistake(
            observation_id=predictions.observation_id[row],
            truth=int(truth[row]),
            predicted=int(predictions.class_id[row]),
            cost=COSTS[venomous[int(truth[row])], venomous[int(predictions.class_id[row])]],
            probability=float(predictions.probability[row]),
            p_venomous=float(predictions.p_venomous[row]),
            photos=tuple(photos.get(predictions.observation_id[row], ())),
        )
        for row in np.flatnonzero(predictions.class_id != truth).tolist()
    ]
    return sorted(found, key=lambda mistake: (-mistake.cost, -mistake.probability))


def with_nearest(
    mistakes: Sequence[Mistake], features: FeatureTable, train: FeatureTable, neighbours: int = 5
) -> list[Mistake]:
    """The mistakes with the training photos whose CLS tokens are nearest to any of their own photos'.

    Each training photo stands once in a mistake, with the higher of its cosines; of copies of a file only
    one does. A mistake without a readable photo has none.

    Args:
        mistakes: of `all_mistakes`.
        features: the readable photos that the mistakes name.
        train: the labelled photos to look in.
        neighbours: how many for each mistake.

    Raises:
        LearningError: train has no labels.
    """
    labels = train.class_id
    if labels is None:
        raise LearningError("The training photos have no class_id: read the features of the train split.")
    row_of = {image_id: row for row, image_id in enumerate(features.image_id)}
    centre = train.blocks[CLS].mean(axis=0)
    own, others = unit_rows(features.blocks[CLS], centre), unit_rows(train.blocks[CLS], centre)

    def nearest(mistake: Mistake) -> tuple[Neighbour, ...]:
        cosine = _highest_cosines(own[np.array([row_of[photo] for photo in mistake.photos])], others)
        # The lower row of equals, so that the same photos give the same report.
        ranked = np.argsort(-cosine, kind="stable")[: COPIES * neighbours].tolist()
        first_of = {train.sha256[row] if train.sha256 else row: row for row in reversed(ranked)}
        shown = sorted(first_of.values(), key=ranked.index)[:neighbours]
        return tuple(Neighbour(train.image_id[row], int(labels[row]), float(cosine[row])) for row in shown)

    return [replace(one, nearest=nearest(one)) if one.photos else one for one in mistakes]


def _highest_cosines(own: npt.NDArray[np.float32], others: UnitRows) -> npt.NDArray[np.float32]:
    """Of each training photo, its highest cosine with any of a few unit vectors [P, D]: float32 [N]."""
    starts = range(0, len(others), BLOCK)
    return np.concatenate([(others[start : start + BLOCK] @ own.T).max(axis=1) for start in starts])
