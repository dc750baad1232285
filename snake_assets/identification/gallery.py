"""Near photos: how near to its species' photos a snake looks, and the look-alikes that are shown for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from snake_assets.identification.exports import LookAlike
from snake_assets.identification.thresholds import Columns, Floats, Observations, Species
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.pooling import mean_by_observation, observation_rows
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.neighbours import Neighbours

Vectors = npt.NDArray[np.float32]

# Photos of a species that a photo is held against: one may be a copy, many would ask it to be typical.
NEAREST = 3
# As many photos as speak for all species in the mean and spread of one: of some species there are but three.
PRIOR_PHOTOS = 5
# Where all photos are alike, any other one is far away.
LEAST_VARIANCE = 1e-6
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
    mean: Vectors
    spread: Vectors

    def of(self, whitened: Vectors, answered: Columns) -> Floats:
        """How near photos are to the species that they are answered as, in units of its own spread: [N].

        0 is as near as its own photos are to each other, -2 two standard deviations farther away.

        Args:
            whitened: of the photos, as `Neighbours.whitened` gives them, [N, D].
            answered: column of the species that each one is held against, [N].
        """
        near = np.empty(len(whitened))
        for column in np.unique(answered).tolist():
            own, asked = self.neighbours.vectors[rows_of(self.neighbours, column)], answered == column
            near[asked] = _mean_of_nearest(whitened[asked] @ own.T.astype(np.float32))
        return (near - self.mean[answered]) / self.spread[answered]


def rows_of(neighbours: Neighbours, column: int) -> Columns:
    """The training photos of a species, ascending."""
    return np.flatnonzero(neighbours.labels == column)


def fit_nearness(neighbours: Neighbours, observation_id: Sequence[str]) -> Nearness:
    """Measure how near photos of each species are to each other.

    Args:
        neighbours: the N training photos.
        observation_id: of each; photos of one observation are not held against each other.
    """
    _, observation = np.unique(np.asarray(observation_id, dtype=str), return_inverse=True)
    own = np.empty(len(observation))
    for column in range(neighbours.classes):
        rows = rows_of(neighbours, column)
        vectors = neighbours.vectors[rows].astype(np.float32)
        cosines = vectors @ vectors.T
        cosines[observation[rows][:, None] == observation[rows]] = np.nan
        own[rows] = _mean_of_nearest(cosines)
    # A species of one observation is taken to be like the others.
    known = ~np.isnan(own)
    own, labels = own[known], neighbours.labels[known]

    def by_species(values: Floats) -> Floats:
        overall = values.mean() if len(values) else 0.0
        sums = np.bincount(labels, values, neighbours.classes)
        return (sums + PRIOR_PHOTOS * overall) / (np.bincount(labels, minlength=len(sums)) + PRIOR_PHOTOS)

    mean = by_species(own)
    spread = np.sqrt(np.maximum(by_species((own - mean[labels]) ** 2), LEAST_VARIANCE))
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


def typical_photos(neighbours: Neighbours, observation_id: Sequence[str]) -> Columns:
    """Up to five training photos of each species for the gallery, by species: those most like all of its own.

    Each is of another observation.

    Args:
        neighbours: the N training photos.
        observation_id: of each of them.
    """
    chosen: list[int] = []
    for column in range(neighbours.classes):
        rows = rows_of(neighbours, column)
        vectors = neighbours.vectors[rows].astype(np.float32)
        likeness = vectors @ vectors.sum(axis=0)
        taken: dict[str, int] = {}
        for row in rows[np.argsort(-likeness, kind="stable")].tolist():
            taken.setdefault(observation_id[row], row)
        chosen += [*taken.values()][:A_SPECIES]
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

    vectors: Vectors
    labels: Columns
    files: Sequence[str]
    species: Species

    def look_alikes(self, whitened: Vectors, harmless: bool) -> tuple[LookAlike, ...]:
        """The five gallery photos nearest to a photo [D], nearest first.

        Where the answer is harmless, the nearest photo of a venomous species comes first of all, for whoever
        has to rule that species out. Where venom is not known, no answer is known to be harmless.
        """
        cosines = self.vectors @ whitened
        kept = min(LOOK_ALIKES, len(cosines))
        nearest = np.argpartition(-cosines, kept - 1)[:kept]
        rows = nearest[np.argsort(-cosines[nearest], kind="stable")].tolist()
        if harmless and len(self._venomous):
            first = int(self._venomous[cosines[self._venomous].argmax()])
            rows = [first, *(row for row in rows if row != first)]
        species, columns = self.species, self.labels[rows].tolist()
        return tuple(
            LookAlike(
                species=species.names[column],
                similarity=float(cosines[row]),
                photo=self.files[row],
                venomous=None if species.venomous is None else bool(species.venomous[column]),
            )
            for row, column in zip(rows, columns, strict=True)
        )

    @cached_property
    def _venomous(self) -> Columns:
        venomous = self.species.venomous
        return np.flatnonzero(venomous[self.labels]) if venomous is not None else np.empty(0, np.int64)


def _mean_of_nearest(cosines: Vectors) -> Floats:
    """Mean of the 3 largest of each row [Q, N], NaN left out; NaN where there is nothing else."""
    nearest = -np.sort(-cosines, axis=1)[:, :NEAREST].astype(np.float64)
    there = ~np.isnan(nearest)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(there, nearest, 0).sum(axis=1) / there.sum(axis=1)
    return mean
