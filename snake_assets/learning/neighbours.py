"""Nearest photos by the cosine of their features, and the classifier that lets them vote.

As DINO is evaluated: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (2021), after
Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination" (2018). There is nothing
to fit. The search is exact; one search with the largest k serves every smaller k and every temperature.
"""

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.unit_rows import unit_rows

# One block of cosines, 32 MB.
QUERIES_AT_ONCE, TRAIN_AT_ONCE = 1024, 8192

Rows = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]


def nearest(
    train: npt.NDArray[np.floating],
    queries: npt.NDArray[np.floating],
    k: int,
    centre: npt.NDArray[np.floating] | None = None,
) -> tuple[Rows, Cosines]:
    """The k rows of `train` nearest to each query, nearest first.

    With fewer than k rows, all of them. Equally near rows come lowest first; which of them are left out
    where they do not all fit is not defined. A vector without a direction has the cosine 0 with all.

    Args:
        train: [M, D], finite.
        queries: [N, D], finite.
        k: how many are wanted, at least 1.
        centre: subtracted from all rows first, [D]; None subtracts nothing.

    Returns:
        Row numbers of `train`, int64 [N, min(k, M)], and their cosines, float32 of the same shape.

    Raises:
        LearningError: no row to be near to, k below 1, matrices that do not fit, a value that is not finite.
    """
    if k < 1 or len(train) == 0:
        raise LearningError(f"{k} neighbours among {len(train)} photos: at least one of each is needed.")
    if train.shape[1:] != queries.shape[1:]:
        raise LearningError(f"Features of {train.shape[1:]} and of {queries.shape[1:]} dims have no cosine.")
    rows_there, asked = unit_rows(train, centre), unit_rows(queries, centre)
    kept = min(k, len(train))
    rows, cosines = np.empty((len(asked), kept), np.int64), np.empty((len(asked), kept), np.float32)
    for start in range(0, len(asked), QUERIES_AT_ONCE):
        block = slice(start, start + QUERIES_AT_ONCE)
        units = asked[block]
        best_rows, best = np.empty((len(units), 0), np.int64), np.empty((len(units), 0), np.float32)
        for first in range(0, len(train), TRAIN_AT_ONCE):
            products = units @ rows_there[first : first + TRAIN_AT_ONCE].T
            near = _largest(products, kept)
            best_rows = np.hstack([best_rows, first + near])
            best = np.hstack([best, np.take_along_axis(products, near, axis=1)])
            top = _largest(best, kept)
            best_rows = np.take_along_axis(best_rows, top, axis=1)
            best = np.take_along_axis(best, top, axis=1)
        order = np.lexsort((best_rows, -best), axis=1)
        rows[block] = np.take_along_axis(best_rows, order, axis=1)
        cosines[block] = np.take_along_axis(best, order, axis=1)
    return rows, cosines


def vote(
    rows: Rows,
    cosine: Cosines,
    labels: npt.NDArray[np.integer],
    classes: int,
    k: int,
    temperature: float,
) -> npt.NDArray[np.float32]:
    """The votes of each query's first k neighbours: float32 [N, classes], rows sum to 1.

    A neighbour votes for its species with exp(cosine / temperature). A species that none of them is of
    has the probability 0.

    Args:
        rows: neighbours as from `nearest`, [N, K], K >= k or all that there are.
        cosine: theirs, [N, K].
        labels: column of each training row's species, [M].
        classes: how many columns.
        k: how many neighbours vote.
        temperature: small ones listen to the nearest only; DINO takes 0.07.

    Raises:
        LearningError: k below 1 or a temperature that is not above 0.
    """
    if k < 1 or not temperature > 0:
        raise LearningError(f"{k} neighbours at temperature {temperature}: both should be above 0.")
    shares = softmax(cosine[:, :k], temperature)
    probabilities = np.empty((len(rows), classes), dtype=np.float32)
    for start in range(0, len(rows), QUERIES_AT_ONCE):
        block = slice(start, start + QUERIES_AT_ONCE)
        votes, voters = labels[rows[block, :k]], shares[block]
        cells = np.arange(len(votes))[:, None] * classes + votes
        summed = np.bincount(cells.ravel(), voters.ravel(), minlength=len(votes) * classes)
        probabilities[block] = summed.reshape(len(votes), classes)
    return probabilities


def _largest(cosine: Cosines, kept: int) -> Rows:
    if cosine.shape[1] <= kept:
        return np.broadcast_to(np.arange(cosine.shape[1]), cosine.shape)
    return np.argpartition(cosine, -kept, axis=1)[:, -kept:]
