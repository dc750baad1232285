"""The mistakes, most costly first, and the training photos that look most like them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.classifier import Predictions
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.neighbours import Neighbours
from snake_assets.snakeclef.metric import COSTS

MISTAKES_EXPLAINED, NEAREST_SHOWN = 10, 5


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
    species; cost and p_venomous are None where venom is not known. `photos` are the image_ids of its readable
    photos. `nearest` are the five training photos nearest to any of them, as the classifier has it, copies of
    a file once; only of the first ten mistakes.
    """

    observation_id: str
    truth: int
    predicted: int
    cost: int | None
    probability: float
    p_venomous: float | None
    photos: tuple[str, ...]
    nearest: tuple[Neighbour, ...]


def find_mistakes(
    predictions: Predictions,
    truth: npt.NDArray[np.integer],
    venomous: Mapping[int, bool] | None,
    val: FeatureTable,
    train: FeatureTable,
    neighbours: Neighbours,
) -> list[Mistake]:
    """Every wrong answer to O observations: highest Track 2 cost first, the surest of equals first.

    The truth is their class_id, [O]; `val` holds their readable photos, `train` the neighbours, in order.
    Where venom is not known, `venomous` is None and no mistake costs more than another.

    Raises:
        LearningError: the classifier was trained on other photos.
    """
    if len(train) != len(neighbours.labels):
        raise LearningError(
            f"The classifier was trained on {len(neighbours.labels)} photos, train has {len(train)}: "
            "materialize species_classifier again."
        )
    labels, digests = np.asarray(train.class_id), train.sha256 or train.image_id
    rows_of: dict[str, list[int]] = {}
    for row, observation in enumerate(val.observation_id):
        rows_of.setdefault(observation, []).append(row)

    def nearest(own: list[int]) -> tuple[Neighbour, ...]:
        # Twice as many as are shown, since copies of one file are passed over.
        rows, cosine = neighbours.nearest(val.blocks[CLS][own], 2 * NEAREST_SHOWN)
        found: dict[str, Neighbour] = {}
        for at in np.argsort(-cosine, axis=None, kind="stable").tolist():
            row = int(rows.flat[at])
            one = Neighbour(train.image_id[row], int(labels[row]), float(cosine.flat[at]))
            found.setdefault(digests[row], one)
        return tuple(found.values())[:NEAREST_SHOWN]

    wrong = np.flatnonzero(predictions.class_id != truth)
    costs, p_venomous = np.zeros(len(wrong), np.int64), predictions.p_venomous
    if venomous is not None:
        flags = [[venomous[one] for one in ids[wrong].tolist()] for ids in (truth, predictions.class_id)]
        costs = np.array([COSTS[pair] for pair in zip(*flags, strict=True)], dtype=np.int64)
    mistakes: list[Mistake] = []
    for at in np.lexsort((-predictions.probability[wrong], -costs)).tolist():
        row = wrong[at]
        own = rows_of.get(predictions.observation_id[row], [])
        mistakes.append(
            Mistake(
                observation_id=predictions.observation_id[row],
                truth=int(truth[row]),
                predicted=int(predictions.class_id[row]),
                cost=None if venomous is None else int(costs[at]),
                probability=float(predictions.probability[row]),
                p_venomous=None if p_venomous is None else float(p_venomous[row]),
                photos=tuple(val.image_id[photo] for photo in own),
                nearest=nearest(own) if own and len(mistakes) < MISTAKES_EXPLAINED else (),
            )
        )
    return mistakes
