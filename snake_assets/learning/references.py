"""Classifiers with nothing to train: votes of the nearest training photos, and of the species' mean photos.

Both are one thing: references (all photos, or a mean of each species) vote for their species by their cosine
with a photo (neighbours.py). They are looked for where photos of ONE species lie round their mean: features
are standardised and whitened within species (scatter.py), which is worth more than the choice of k.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.fitting import LinearModel
from snake_assets.learning.folds import ALWAYS_TRAINING
from snake_assets.learning.neighbours import nearest, vote
from snake_assets.learning.scatter import Rows, measure_scatter
from snake_assets.learning.settings import Positive, Whole
from snake_assets.learning.standardisation import PIECE
from snake_assets.learning.unit_rows import unit_rows

Floats = npt.NDArray[np.float32]


class VoteRecipe(BaseModel):
    """Who votes and how: the `k` nearest photos, or all species' mean photos where k is None.

    A reference votes with exp(cosine / temperature).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: Whole | None
    temperature: Positive

    @property
    def name(self) -> str:
        """The recipe in a few words, for logs and tables."""
        who = "mean photo of each species" if self.k is None else f"{self.k} nearest photos"
        return f"{who}, temperature {self.temperature:g}"


@dataclass(frozen=True, eq=False)
class References:
    """What votes: M references of C species in a whitened space.

    Attributes:
        space: features -> whitened features; its "classes" are the dims of that space.
        vectors: the references there, float32 [M, D].
        labels: column of each one's species, int64 [M].
        classes: C.
        recipe: how they vote.
    """

    space: LinearModel
    vectors: Floats
    labels: npt.NDArray[np.int64]
    classes: int
    recipe: VoteRecipe

    def probabilities(self, features: Floats) -> Floats:
        """Probability of each species for photos [N, D]: float32 [N, C], rows sum to 1."""
        k = self.recipe.k or len(self.vectors)
        rows, cosine = nearest(self.vectors, _projected(self.space, features), k)
        return vote(rows, cosine, self.labels, self.classes, k, self.recipe.temperature)


def fit_references(
    features: Floats, labels: npt.NDArray[np.integer], classes: int, shrinkage: float, recipe: VoteRecipe
) -> References:
    """References from training photos.

    Args:
        features: float32 [N, D].
        labels: column of each photo's species, [N], each of the columns at least once.
        classes: C.
        shrinkage: of the scatter within species, as in `WithinClassBasis.stretch`.
        recipe: how they are to vote.
    """
    space = _whitening(features, labels, classes, np.arange(len(features)), shrinkage)
    vectors, own = _projected(space, features), labels.astype(np.int64)
    if recipe.k is None:
        vectors, own = _means(vectors, labels, classes), np.arange(classes)
    return References(space, vectors, own, classes, recipe)


@dataclass(frozen=True, eq=False)
class HeldOutVotes:
    """The nearest references of H held-out photos, from which every recipe's votes follow.

    Attributes:
        photos: row of the nearest training photos, nearest first, int64 [H, K], and their cosines.
        species: column of the nearest species means, all of them, int64 [H, C], and their cosines.
        labels: column of each training photo's species.
        classes: C.
    """

    photos: tuple[npt.NDArray[np.int64], Floats]
    species: tuple[npt.NDArray[np.int64], Floats]
    labels: npt.NDArray[np.int64]
    classes: int

    def probabilities(self, recipe: VoteRecipe) -> Floats:
        """What the recipe says of the held-out photos: float32 [H, C]."""
        if recipe.k is None:
            return vote(
                *self.species, np.arange(self.classes), self.classes, self.classes, recipe.temperature
            )
        return vote(*self.photos, self.labels, self.classes, recipe.k, recipe.temperature)


def held_out_votes(
    features: Floats,
    labels: npt.NDArray[np.integer],
    classes: int,
    folds: npt.NDArray[np.int64],
    shrinkage: float,
    most_neighbours: int,
) -> HeldOutVotes:
    """Find the references of every held-out photo among the photos outside its fold, in their order.

    Args:
        features: of all N photos, float32 [N, D].
        labels: column of each photo's species, [N].
        classes: C.
        folds: as from `grouped_folds`, [N].
        shrinkage: as in `fit_references`.
        most_neighbours: the largest k that will be asked for; where a fold leaves fewer photos, all of them.
    """
    fold_of_row = folds[folds != ALWAYS_TRAINING]
    outside = [np.flatnonzero(folds != fold) for fold in range(folds.max() + 1)]
    kept = min(most_neighbours, *map(len, outside))
    photos = np.empty((len(fold_of_row), kept), np.int64), np.empty((len(fold_of_row), kept), np.float32)
    species = tuple(np.empty((len(fold_of_row), classes), kind) for kind in (np.int64, np.float32))
    for fold, known in enumerate(outside):
        space = _whitening(features, labels, classes, known, shrinkage)
        vectors, asked = _projected(space, features[known]), _projected(space, features[folds == fold])
        here = fold_of_row == fold
        near, photos[1][here] = nearest(vectors, asked, kept)
        photos[0][here] = known[near]
        means = _means(vectors, labels[known], classes)
        species[0][here], species[1][here] = nearest(means, asked, classes)
    return HeldOutVotes(photos, (species[0], species[1]), labels.astype(np.int64), classes)


def _whitening(
    features: Floats, labels: npt.NDArray[np.integer], classes: int, rows: Rows, shrinkage: float
) -> LinearModel:
    scatter = measure_scatter(features, labels, classes, rows)
    standardisation = scatter.standardisation()
    basis = scatter.basis(standardisation.scale)
    axes = basis.axes * basis.stretch(shrinkage)
    return LinearModel(standardisation, axes, np.zeros(axes.shape[1], dtype=np.float32))


def _projected(space: LinearModel, features: Floats) -> Floats:
    # Piece by piece: copies of 182,261 x 768 floats would be 560 MB each.
    vectors = np.empty((len(features), space.weight.shape[1]), dtype=np.float32)
    for start in range(0, len(features), PIECE):
        vectors[start : start + PIECE] = space.logits(features[start : start + PIECE])
    return vectors


def _means(vectors: Floats, labels: npt.NDArray[np.integer], classes: int) -> Floats:
    """The mean direction of each species' photos, [C, D]."""
    units, sums = unit_rows(vectors), np.zeros((classes, vectors.shape[1]))
    for start in range(0, len(vectors), PIECE):
        np.add.at(sums, labels[start : start + PIECE], units[start : start + PIECE])
    return sums.astype(np.float32)
