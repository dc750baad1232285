"""The mistakes, most costly first, and the training photos that look most like them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from snake_assets.learning.classifier import Predictions
from snake_assets.learning.cross_validation.near_duplicates import unit_rows
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.snakeclef.metric import COSTS

# Training photos compared at a time.
BLOCK = 8192
NEAREST_SHOWN = 5


@dataclass(frozen=True)
class Neighbour:
    """A training photo, its species, and the cosine of its CLS token with a photo's, less train's mean."""

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


def with_nearest(mistakes: Sequence[Mistake], features: FeatureTable, train: FeatureTable) -> list[Mistake]:
    """The mistakes with the five training photos whose CLS tokens are nearest to any of their own photos'.

    Of copies of a file only one stands there. A mistake without a readable photo has none.

    Args:
        mistakes: of `all_mistakes`.
        features: the readable photos that the mistakes name.
        train: the labelled photos to look in.
    """
    labels = np.asarray(train.class_id)
    row_of = {image_id: row for row, image_id in enumerate(features.image_id)}
    centre = train.blocks[CLS].mean(axis=0)
    own, others = unit_rows(features.blocks[CLS], centre), unit_rows(train.blocks[CLS], centre)

    def nearest(mistake: Mistake) -> tuple[Neighbour, ...]:
        asked = own[np.array([row_of[photo] for photo in mistake.photos])].T
        starts = range(0, len(others), BLOCK)
        cosine = np.concatenate([(others[start : start + BLOCK] @ asked).max(axis=1) for start in starts])
        # The lower row of equals, so that the same photos give the same report; twice as many as are shown,
        # since copies of one file are passed over.
        ranked = np.argsort(-cosine, kind="stable")[: 2 * NEAREST_SHOWN].tolist()
        first_of = {train.sha256[row] if train.sha256 else row: row for row in reversed(ranked)}
        shown = sorted(first_of.values(), key=ranked.index)[:NEAREST_SHOWN]
        return tuple(Neighbour(train.image_id[row], int(labels[row]), float(cosine[row])) for row in shown)

    return [replace(one, nearest=nearest(one)) if one.photos else one for one in mistakes]
