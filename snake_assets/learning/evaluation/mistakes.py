"""The mistakes, most costly first, and the training photos that look most like them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from snake_assets.learning.classifier import Predictions
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.neighbours import Neighbours
from snake_assets.snakeclef.metric import COSTS

NEAREST_SHOWN = 5


@dataclass(frozen=True)
class Neighbour:
    """A training photo, its species, and the cosine of it and a photo in the space of the neighbours."""

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
    mistakes: Sequence[Mistake], val: FeatureTable, train: FeatureTable, neighbours: Neighbours
) -> list[Mistake]:
    """The mistakes with the five training photos that are nearest to any of their own, as classifiers see it.

    Of copies of a file only one stands there. A mistake without a readable photo has none.

    Args:
        mistakes: of `all_mistakes`.
        val: the readable photos that the mistakes name.
        train: the photos that the neighbours are, with their labels and digests.
        neighbours: of the classifier.

    Raises:
        LearningError: the classifier was trained on other photos.
    """
    if len(train) != len(neighbours.labels):
        raise LearningError(
            f"The classifier was trained on {len(neighbours.labels)} photos, train has {len(train)}: "
            "materialize species_classifier again."
        )
    labels, digests = np.asarray(train.class_id), train.sha256 or train.image_id
    row_of = {image_id: row for row, image_id in enumerate(val.image_id)}

    def nearest(mistake: Mistake) -> tuple[Neighbour, ...]:
        own = val.blocks[CLS][[row_of[photo] for photo in mistake.photos]]
        # Twice as many as are shown, since copies of one file are passed over.
        rows, cosine = neighbours.nearest(own, 2 * NEAREST_SHOWN)
        found: dict[str, Neighbour] = {}
        for at in np.argsort(-cosine, axis=None, kind="stable").tolist():
            row = int(rows.flat[at])
            one = Neighbour(train.image_id[row], int(labels[row]), float(cosine.flat[at]))
            found.setdefault(digests[row], one)
        return tuple(found.values())[:NEAREST_SHOWN]

    return [replace(one, nearest=nearest(one)) if one.photos else one for one in mistakes]
