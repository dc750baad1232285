"""What the place of an observation says about its species: a prior to multiply with, where it is known."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from snake_assets.learning.errors import LearningError

# Prior strengths that a fit chooses among, in observations: from hardly any smoothing to ignoring species.
STRENGTHS = np.geomspace(0.1, 1e6, 57)

Strength = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Floats = npt.NDArray[np.float64]


class LocationPrior(BaseModel):
    """How often each species was seen under each country code, and how often where it is endemic.

    P(code | species) = (n(species, code) + a P(code)) / (n(species) + a): shares smoothed by those of all
    species together, with the strength of `a` observations (the posterior mean under a Dirichlet prior).
    P(endemic | species) likewise. Nothing that was seen of any species is impossible for another.

    Given the species, photo, code and endemism are taken to be independent, so that
    P(species | photo, code) is proportional to P(species | photo) P(code | species) / P(code).

    Attributes:
        code_counts: for each of C species, country code -> observations.
        endemic_counts: for each species, observations (where it is not endemic, where it is).
        code_strength: a of the codes.
        endemic_strength: a of endemism.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code_counts: tuple[dict[str, Count], ...]
    endemic_counts: tuple[tuple[Count, Count], ...]
    code_strength: Strength
    endemic_strength: Strength

    @model_validator(mode="after")
    def _as_many_species(self) -> "LocationPrior":
        if len(self.code_counts) != len(self.endemic_counts):
            raise ValueError(
                f"{len(self.code_counts)} species with codes, {len(self.endemic_counts)} with endemism"
            )
        return self

    def weights(self, codes: Sequence[str | None], endemic: Sequence[bool | None]) -> Floats:
        """ln P(code | species) / P(code) + ln P(endemic | species) / P(endemic): float64 [O, C], finite.

        What is not known (None), or was never seen in training, adds 0.

        Args:
            codes: country code of each observation, O.
            endemic: whether the observation is from where its species is endemic, O.

        Raises:
            LearningError: not as many codes as endemisms.
        """
        if len(codes) != len(endemic):
            raise LearningError(f"{len(codes)} country codes but {len(endemic)} statements of endemism.")
        names, counts = _table(self.code_counts)
        position = {name: column for column, name in enumerate(names)}
        of_codes = _log_ratios(counts, self.code_strength)
        of_endemism = _log_ratios(np.array(self.endemic_counts).reshape(-1, 2), self.endemic_strength)
        # The last row of each is for what is unknown.
        return (
            of_codes[[position.get(code, -1) if code is not None else -1 for code in codes]]
            + (of_endemism[[-1 if one is None else int(one) for one in endemic]])
        )

    def apply(
        self,
        probabilities: npt.NDArray[np.floating],
        codes: Sequence[str | None],
        endemic: Sequence[bool | None],
    ) -> Floats:
        """Multiply the evidence of the places into probabilities [O, C], rows summing to 1: float64 [O, C].

        A row that nothing is known of comes back as it was. A species of probability 0 keeps it.

        Raises:
            LearningError: as `weights`, or probabilities of another shape.
        """
        exact = np.array(probabilities, dtype=np.float64)
        if exact.shape != (len(codes), len(self.code_counts)):
            raise LearningError(
                f"Probabilities of the shape {exact.shape} for {len(codes)} observations of "
                f"{len(self.code_counts)} species."
            )
        weights = self.weights(codes, endemic)
        known = weights.any(axis=1)
        with np.errstate(divide="ignore"):
            odds = np.log(exact[known]) + weights[known]
        odds = np.exp(odds - odds.max(axis=1, keepdims=True))
        exact[known] = odds / odds.sum(axis=1, keepdims=True)
        return exact

    def for_species(self, own: Sequence[int], wanted: Sequence[int]) -> "LocationPrior":
        """The same for other columns: class_ids of its own columns, and of those that are wanted.

        A species that it has not counted is taken to be as likely anywhere as all species together.
        """
        counts = dict(zip(own, zip(self.code_counts, self.endemic_counts, strict=True), strict=True))
        columns = [counts.get(class_id, ({}, (0, 0))) for class_id in wanted]
        return self.model_copy(
            update={
                "code_counts": tuple(codes for codes, _ in columns),
                "endemic_counts": tuple(endemic for _, endemic in columns),
            }
        )


def fit_location_prior(
    codes: Sequence[str | None],
    endemic: Sequence[bool | None],
    labels: npt.NDArray[np.integer],
    classes: int,
    code_strength: float | None = None,
    endemic_strength: float | None = None,
) -> LocationPrior:
    """Count the places of training observations.

    A strength that is not given is the one under which each observation's place is likeliest when it is
    left out of its species' counts (the shares of all species together are taken as known).

    Args:
        codes: country code of each observation, O; None where it is unknown.
        endemic: whether the observation is from where its species is endemic, O; None where it is unknown.
        labels: column of each observation's species, [O].
        classes: C, how many columns.
        code_strength: in observations, above 0.
        endemic_strength: in observations, above 0.

    Raises:
        LearningError: lengths that differ, or a strength that is not above 0.
    """
    if not len(codes) == len(endemic) == len(labels):
        raise LearningError(
            f"{len(codes)} country codes, {len(endemic)} statements of endemism and {len(labels)} species."
        )
    given = [strength for strength in (code_strength, endemic_strength) if strength is not None]
    if not all(0 < strength < np.inf for strength in given):
        raise LearningError(f"Strengths of {given} observations: each should be above 0 and finite.")
    code_counts: list[Counter[str]] = [Counter() for _ in range(classes)]
    endemic_counts = np.zeros((classes, 2), dtype=np.int64)
    for code, one, label in zip(codes, endemic, labels.tolist(), strict=True):
        if code is not None:
            code_counts[label][code] += 1
        if one is not None:
            endemic_counts[label, int(one)] += 1
    return LocationPrior(
        code_counts=tuple(dict(sorted(counts.items())) for counts in code_counts),
        endemic_counts=tuple((int(no), int(yes)) for no, yes in endemic_counts),
        code_strength=_likeliest_strength(_table(code_counts)[1]) if code_strength is None else code_strength,
        endemic_strength=_likeliest_strength(endemic_counts)
        if endemic_strength is None
        else endemic_strength,
    )


def _table(counts: Sequence[dict[str, int]]) -> tuple[list[str], npt.NDArray[np.int64]]:
    # All codes in order, and the observations of each species under each: [C, K].
    names = sorted({name for one in counts for name in one})
    position = {name: column for column, name in enumerate(names)}
    table = np.zeros((len(counts), len(names)), dtype=np.int64)
    for row, one in enumerate(counts):
        for name, count in one.items():
            table[row, position[name]] = count
    return names, table


def _log_ratios(counts: npt.NDArray[np.int64], strength: float) -> Floats:
    # ln P(place | species) / P(place) of K places, and a row of zeros for an unknown one: [K + 1, C].
    ratios = np.zeros((counts.shape[1] + 1, len(counts)))
    seen = np.flatnonzero(counts.sum(axis=0))
    shares = counts[:, seen].sum(axis=0) / max(1, counts.sum())
    smoothed = (counts[:, seen] / shares + strength) / (counts.sum(axis=1, keepdims=True) + strength)
    ratios[seen] = np.log(smoothed).T
    return ratios


def _likeliest_strength(counts: npt.NDArray[np.int64]) -> float:
    species, place = np.nonzero(counts)
    if not species.size:
        return 1.0
    here, of_species = counts[species, place], counts.sum(axis=1)[species]
    share = counts.sum(axis=0)[place] / counts.sum()
    likelihoods = [
        float(here @ np.log((here - 1 + strength * share) / (of_species - 1 + strength)))
        for strength in STRENGTHS
    ]
    return float(STRENGTHS[int(np.argmax(likelihoods))])
