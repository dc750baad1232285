"""Nearest training photos in a whitened space of CLS tokens, and their votes.

Votes as DINO is evaluated: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (2021).
The space is that in which photos of ONE species lie round their mean: columns are standardised, then whitened
by the scatter within species, shrunk towards a sphere as in Friedman, "Regularized Discriminant Analysis"
(1989). On real photos that is worth more than any choice of k.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.decision.pooling import softmax
from snake_assets.learning.linear_head import CONSTANT, PIECE, Floats, Rows, column_moments

# Chosen once, on 20 splits of the training photos of 13 species.
NEIGHBOURS, TEMPERATURE, SHRINKAGE = 30, 0.07, 0.4
# One block of cosines, 32 MB.
QUERIES_AT_ONCE, REFERENCES_AT_ONCE = 1024, 8192


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Training photos to be near to.

    Attributes:
        mean: of the CLS tokens, float32 [D].
        axes: whitens them, float32 [D, D].
        vectors: the training photos in that space, of length 1, float16 [N, D]: 258 MB of 168,144 x 768. What
            float16 rounds off moves a cosine by less than 0.001.
        labels: column of each one's species, int32 [N].
        classes: how many columns.
    """

    mean: Floats
    axes: Floats
    vectors: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int32]
    classes: int

    def whitened(self, cls: Floats) -> Floats:
        """CLS tokens [Q, D] in that space, of length 1: float32 [Q, D]."""
        return _whitened(cls, self.mean, self.axes)

    def nearest(self, cls: Floats, k: int = NEIGHBOURS) -> tuple[npt.NDArray[np.int64], Floats]:
        """The k most similar training photos of each CLS token [Q, D], nearest first, or all there are.

        The search is exact. Equally near ones come lowest first.

        Returns:
            Row of each in the training table, int64 [Q, K], and its cosine, float32 [Q, K].
        """
        asked, kept = self.whitened(cls), min(k, len(self.vectors))
        rows = np.zeros((len(asked), kept), np.int64)
        cosine = np.full((len(asked), kept), -np.inf, np.float32)
        for first in range(0, len(self.vectors), REFERENCES_AT_ONCE):
            references = self.vectors[first : first + REFERENCES_AT_ONCE].astype(np.float32).T
            for start in range(0, len(asked), QUERIES_AT_ONCE):
                own = slice(start, start + QUERIES_AT_ONCE)
                products = asked[own] @ references
                near = _largest(products, kept)
                found = np.hstack([cosine[own], np.take_along_axis(products, near, axis=1)])
                where = np.hstack([rows[own], first + near])
                best = _largest(found, kept)
                cosine[own] = np.take_along_axis(found, best, axis=1)
                rows[own] = np.take_along_axis(where, best, axis=1)
        order = np.lexsort((rows, -cosine), axis=1)
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(cosine, order, axis=1)

    def votes(self, cls: Floats) -> Floats:
        """Each of the nearest photos votes for its species with exp(cosine / temperature): float32 [Q, C].

        Rows sum to 1; a species that no neighbour is of has the probability 0.
        """
        rows, cosine = self.nearest(cls)
        shares, voted = softmax(cosine, TEMPERATURE), self.labels[rows]
        votes = np.zeros((len(rows), self.classes), np.float32)
        np.add.at(votes, (np.arange(len(rows))[:, None], voted), shares.astype(np.float32))
        return votes


def fit_neighbours(
    cls: Floats, labels: npt.NDArray[np.integer], classes: int, rows: Rows | None = None
) -> Neighbours:
    """Remember training photos: CLS tokens, float32 [N, D], and the column of each one's species, [N].

    Those of `rows` are remembered, None takes all, and `nearest` counts within them.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    mean, scale = column_moments(cls, rows)
    axes = _whitening(cls, labels, classes, rows, mean, scale) / scale[:, None]
    vectors = np.empty((len(rows), len(mean)), np.float16)
    for start in range(0, len(rows), PIECE):
        vectors[start : start + PIECE] = _whitened(cls[rows[start : start + PIECE]], mean, axes)
    return Neighbours(mean, axes, vectors, labels[rows].astype(np.int32), classes)


def _whitening(
    cls: Floats, labels: npt.NDArray[np.integer], classes: int, rows: Rows, mean: Floats, scale: Floats
) -> Floats:
    """Axes [D, D] under which the shrunk scatter (1 - s) S + s tr(S)/D I of standardised columns is I."""
    from scipy.sparse import csr_array

    dims = len(mean)
    total, sums = np.zeros((dims, dims)), np.zeros((classes, dims))
    for start in range(0, len(rows), PIECE):
        own = rows[start : start + PIECE]
        piece = (cls[own] - mean) / scale
        total += piece.T @ piece
        one, here = np.ones(len(own), np.float32), (labels[own], np.arange(len(own)))
        members = csr_array((one, here), (classes, len(own)))
        sums += members @ piece
    photos = np.maximum(np.bincount(labels[rows], minlength=classes), 1)
    within = (total - (sums / photos[:, None]).T @ sums) / len(rows)
    variance, axes = np.linalg.eigh(within)
    level = float(variance.clip(0).mean())
    if level <= CONSTANT:
        return np.eye(dims, dtype=np.float32)
    stretch = ((1 - SHRINKAGE) * variance.clip(0) + SHRINKAGE * level) ** -0.5
    return np.asarray(axes * stretch, dtype=np.float32)


def _whitened(cls: Floats, mean: Floats, axes: Floats) -> Floats:
    # A photo without a direction, the mean itself, stays 0: its cosine with all is 0.
    found = np.asarray((cls - mean) @ axes, dtype=np.float32)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    found /= np.where(length > 0, length, 1)
    return found


def _largest(cosine: Floats, kept: int) -> npt.NDArray[np.int64]:
    if cosine.shape[1] <= kept:
        return np.broadcast_to(np.arange(cosine.shape[1]), cosine.shape)
    return np.argpartition(cosine, -kept, axis=1)[:, -kept:]
