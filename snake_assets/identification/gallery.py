"""Near photos: how near to its species' photos a snake looks, and the look-alikes that are shown for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from snake_assets.identification.exports import LookAlike
from snake_assets.identification.thresholds import Observations, Species
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.pooling import mean_by_observation, observation_rows
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.neighbours import Neighbours

Floats = npt.NDArray[np.float32]
Columns = npt.NDArray[np.int64]

# Photos of a species that a photo is held against: one may be a copy, many would ask it to be typical.
NEAREST = 3
# As many photos as speak for all species in the mean and spread of one: of some species there are but three.
PRIOR_PHOTOS = 5
A_SPECIES, LOOK_ALIKES = 5, 5


@dataclass(frozen=True, eq=False)
class Nearness:
    """How near photos of a species are to each other.

    Attributes:
        neighbours: the training photos, in their space.
        mean: of each species' photos' mean cosine to their 3 nearest of another observation, float32 [C].
        spread: its standard deviation, float32 [C].
    """

    neighbours: Neighbours
    mean: Floats
    spread: Floats

    @cached_property
    def _rows(self) -> tuple[Columns, Columns]:
        """Training photos by species, and where each species begins and ends, [C + 1]."""
        labels = self.neighbours.labels
        starts = np.searchsorted(np.sort(labels), np.arange(self.neighbours.classes + 1))
        return np.argsort(labels, kind="stable"), starts.astype(np.int64)

    def of_species(self, column: int) -> Columns:
        """The training photos of a species, ascending."""
        order, starts = self._rows
        return order[starts[column] : starts[column + 1]]

    def of(self, whitened: Floats, answered: Columns) -> npt.NDArray[np.float64]:
        """How near photos are to the species that they are answered as, in units of its own spread: [N].

        0 is as near as its own photos are to each other, -2 two standard deviations farther away.

        Args:
            whitened: of the photos, as `Neighbours.whitened` gives them, [N, D].
            answered: column of the species that each one is held against, [N].
        """
        near = np.empty(len(whitened))
        for column in np.unique(answered).tolist():
            asked = np.flatnonzero(answered == column)
            references = self.neighbours.vectors[self.of_species(column)].astype(np.float32)
            cosines = whitened[asked] @ references.T
            mean = _mean_of_largest(cosines, NEAREST) if len(references) else np.full(len(asked), -1.0)
            near[asked] = (mean - self.mean[column]) / self.spread[column]
        return near


def fit_nearness(neighbours: Neighbours, observation_id: Sequence[str]) -> Nearness:
    """Measure how near photos of each species are to each other.

    Args:
        neighbours: the N training photos.
        observation_id: of each; photos of one observation are not held against each other.
    """
    _, observation = np.unique(np.asarray(observation_id, dtype=str), return_inverse=True)
    unmeasured = Nearness(neighbours, np.empty(0, np.float32), np.empty(0, np.float32))
    counts, sums, squares = (np.zeros(neighbours.classes) for _ in range(3))
    for column in range(neighbours.classes):
        rows = unmeasured.of_species(column)
        vectors = neighbours.vectors[rows].astype(np.float32)
        cosines = vectors @ vectors.T
        cosines[observation[rows][:, None] == observation[rows]] = np.nan
        own = _mean_of_largest(cosines, NEAREST)
        own = own[~np.isnan(own)]
        counts[column], sums[column], squares[column] = len(own), own.sum(), (own**2).sum()
    if not counts.any():  # not one species of two observations
        return Nearness(neighbours, np.zeros_like(counts, np.float32), np.ones_like(counts, np.float32))
    known = counts > 0
    means = sums[known] / counts[known]
    # Within species; where all photos are alike, any other one is far away.
    variance = max(((squares[known] - counts[known] * means**2).sum()) / counts.sum(), 1e-6)
    overall = sums.sum() / counts.sum()
    mean = (sums + PRIOR_PHOTOS * overall) / (counts + PRIOR_PHOTOS)
    own_squares = squares - 2 * mean * sums + counts * mean**2
    spread = np.sqrt((np.maximum(own_squares, 0) + PRIOR_PHOTOS * variance) / (counts + PRIOR_PHOTOS))
    return Nearness(neighbours, mean.astype(np.float32), spread.astype(np.float32))


def observe(
    classifier: SpeciesClassifier, nearness: Nearness, table: FeatureTable
) -> tuple[list[str], Observations]:
    """What a classifier says of a table's photos, by observation, first seen first."""
    found = classifier.observe(classifier.probabilities(table), table.observation_id)
    answered = np.searchsorted(classifier.class_ids, classifier.answers(found, classifier.rule))
    names, places = observation_rows(table.observation_id)
    near = nearness.of(classifier.neighbours.whitened(table.blocks[CLS]), answered[places])
    by_observation = mean_by_observation(near[:, None], places, len(names))[:, 0]
    return names, Observations(found.probabilities, answered, by_observation)


def typical_photos(nearness: Nearness, observation_id: Sequence[str]) -> Columns:
    """Up to five photos of each species for the gallery, by species: those most like all of its photos.

    Each is of another observation.

    Args:
        nearness: with the training photos.
        observation_id: of each of them.
    """
    chosen: list[int] = []
    for column in range(nearness.neighbours.classes):
        rows = nearness.of_species(column)
        vectors = nearness.neighbours.vectors[rows].astype(np.float32)
        likeness = vectors @ vectors.mean(axis=0) if len(rows) else np.empty(0)
        taken: dict[str, int] = {}
        for row in rows[np.argsort(-likeness, kind="stable")].tolist():
            taken.setdefault(str(observation_id[row]), row)
        chosen += list(taken.values())[:A_SPECIES]
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Gallery:
    """Photos to be shown beside an answer.

    Attributes:
        vectors: of G photos, whitened, float32 [G, D].
        labels: column of each one's species, [G].
        files: name of each one's thumbnail within the package.
        species: of the columns.
    """

    vectors: Floats
    labels: Columns
    files: Sequence[str]
    species: Species

    def look_alikes(self, whitened: Floats, harmless: bool) -> tuple[LookAlike, ...]:
        """The five gallery photos nearest to a photo [D], nearest first.

        Where the answer is harmless, the nearest photo of a venomous species comes first of all, for whoever
        has to rule that species out.
        """
        cosines = self.vectors @ whitened
        kept = min(LOOK_ALIKES, len(cosines))
        nearest = np.argpartition(-cosines, kept - 1)[:kept] if kept else np.empty(0, np.int64)
        rows = nearest[np.argsort(-cosines[nearest], kind="stable")].tolist()
        venomous = self._venomous
        if harmless and len(venomous):
            first = int(venomous[cosines[venomous].argmax()])
            rows = [first, *(row for row in rows if row != first)]
        return tuple(self._shown(row, float(cosines[row])) for row in rows)

    @cached_property
    def _venomous(self) -> Columns:
        return np.flatnonzero(self.species.venomous[self.labels])

    def _shown(self, row: int, similarity: float) -> LookAlike:
        column = int(self.labels[row])
        return LookAlike(
            self.species.names[column], similarity, self.files[row], bool(self.species.venomous[column])
        )


def _mean_of_largest(values: npt.NDArray[np.floating], kept: int) -> npt.NDArray[np.float64]:
    """Mean of the largest of each row [Q, N], NaN left out; NaN where there is nothing else."""
    if values.shape[1] > kept:
        filled = np.where(np.isnan(values), -np.inf, values)
        values = -np.partition(-filled, kept - 1, axis=1)[:, :kept]
        values = np.where(np.isinf(values), np.nan, values)
    there = ~np.isnan(values)
    sums = np.where(there, values, 0).sum(axis=1, dtype=np.float64)
    means = np.full(len(values), np.nan)
    np.divide(sums, there.sum(axis=1), out=means, where=there.any(axis=1))
    return means
