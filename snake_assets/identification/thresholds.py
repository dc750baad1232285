"""How far an answer may go: refusal of the unknown, roll-up to genus, and prediction sets.

All of it is fitted on observations that the model has not seen, out of fold, and keeps a promise among new
observations of the known species:

- *Unknown*. An observation is refused where it looks less familiar than 95 % of the known. Two scores say how
  familiar it looks: the highest probability, and how near the nearest training photos of the answered species
  are, in units of how near that species' own photos are to each other. They are joined as Fisher joins
  p-values: the sum of the logarithms of the share of known observations that score lower ("Statistical
  Methods for Research Workers", 1925). Nothing is fitted on strangers, of which nobody has a sample.
- *Roll-up*. Species, else genus, else "venomous" is answered from the lowest probability up at which those
  answered were right as often as promised, and never where the answer is more likely wrong than right:
  selective classification after Geifman and El-Yaniv (2017).
- *Prediction sets*. Split conformal prediction, by species where it has enough observations, else among all
  venomous or all harmless ones: least ambiguous sets after Sadinle, Lei and Wasserman (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from snake_assets.identification.errors import IdentificationError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Columns = npt.NDArray[np.int64]
Share = Annotated[float, Field(gt=0.5, lt=1)]

# So many must have been answered before their share of right ones says anything.
LEAST_ANSWERED = 20
# Steps of the distributions that scores are held against.
STEPS = 1000


class Promises(BaseModel):
    """What the thresholds are fitted to keep, as shares of new observations of known species.

    Attributes:
        accuracy: right ones among those answered, at each level.
        known_answered: those that are not refused as unknown.
        coverage: harmless observations whose prediction set holds their species.
        venomous_coverage: the same of venomous ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: Share = 0.9
    known_answered: Share = 0.95
    coverage: Share = 0.9
    venomous_coverage: Share = 0.98


@dataclass(frozen=True, eq=False)
class Species:
    """The species of C columns: name, genus (a number, [C]) and whether medically important venomous, [C]."""

    names: Sequence[str]
    genera: Sequence[str]
    genus: Columns
    venomous: Flags

    @classmethod
    def of(cls, names: Sequence[str], venomous: npt.ArrayLike) -> Species:
        """From binomial names, whose first word is the genus."""
        genera, genus = np.unique([name.split()[0] for name in names], return_inverse=True)
        return cls(list(names), genera.tolist(), genus.astype(np.int64), np.asarray(venomous, dtype=bool))

    def genus_probabilities(self, probabilities: Floats) -> Floats:
        """[O, C] to [O, G]."""
        sums = np.zeros((len(probabilities), len(self.genera)))
        for column, genus in enumerate(self.genus.tolist()):
            sums[:, genus] += probabilities[:, column]
        return sums


@dataclass(frozen=True, eq=False)
class Observations:
    """What a model says of O observations.

    Attributes:
        probabilities: of each species, [O, C].
        answered: column of the species that the decision rule chose, [O].
        nearness: to training photos of that species, in its own units, [O] (gallery.py).
    """

    probabilities: Floats
    answered: Columns
    nearness: Floats

    def __len__(self) -> int:
        """O."""
        return len(self.answered)

    def __getitem__(self, rows: npt.NDArray[np.integer]) -> Observations:
        """Some of them."""
        return Observations(self.probabilities[rows], self.answered[rows], self.nearness[rows])

    @property
    def probability(self) -> Floats:
        """Of the answered species, [O]."""
        return np.take_along_axis(self.probabilities, self.answered[:, None], axis=1)[:, 0]


@dataclass(frozen=True, eq=False)
class Levels:
    """How far O answers go.

    Attributes:
        refused: as unknown.
        species: answered as a species.
        genus: answered as the genus in `genus_column`.
        venomous: answered as venomous, species unsure.
        genus_column: the likeliest genus.
        genus_probability: its probability.
    """

    refused: Flags
    species: Flags
    genus: Flags
    venomous: Flags
    genus_column: Columns
    genus_probability: Floats


class Familiarity(BaseModel):
    """How familiar observations look among known ones.

    Attributes:
        probability_steps: distribution of the answer's probability among known observations, ascending.
        nearness_steps: the same of their nearness.
        least: an observation below it is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability_steps: tuple[float, ...]
    nearness_steps: tuple[float, ...]
    least: float = 0.0

    def of(self, seen: Observations) -> Floats:
        """How familiar observations look, [O], 0 or less: 0 is more familiar than all known ones."""
        scores = (seen.probability, self.probability_steps), (seen.nearness, self.nearness_steps)
        return sum((_log_share_below(*one) for one in scores), np.zeros(len(seen)))


def fit_familiarity(probability: Floats, nearness: Floats, answered: float) -> Familiarity:
    """Learn what is familiar from O known observations that the model has not seen.

    Args:
        probability: of each answer, [O].
        nearness: as in `Observations`, [O].
        answered: share of the known that is not to be refused.
    """
    fitted = Familiarity(probability_steps=_steps(probability), nearness_steps=_steps(nearness))
    column = np.zeros(len(nearness), np.int64)
    scores = fitted.of(Observations(probability[:, None], column, nearness))
    return fitted.model_copy(update={"least": float(np.quantile(scores, 1 - answered))})


class Thresholds(BaseModel):
    """Fitted on observations that a model has not seen; JSON.

    Attributes:
        promises: that they keep.
        observations: that they were fitted on.
        familiarity: what is refused as unknown.
        species: lowest probability at which a species is answered; likewise `genus` and `venomous`.
        set_probability: lowest probability at which a species is in the prediction set, by column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promises: Promises
    observations: int
    familiarity: Familiarity
    species: float
    genus: float
    venomous: float
    set_probability: tuple[float, ...]

    def levels(self, seen: Observations, species: Species, familiarity: Floats | None = None) -> Levels:
        """How far each answer goes.

        Args:
            seen: the observations.
            species: of the columns.
            familiarity: where it was taken before some species were ruled out; None takes that of `seen`.
        """
        familiar = self.familiarity.of(seen) if familiarity is None else familiarity
        refused = familiar < self.familiarity.least
        genera = species.genus_probabilities(seen.probabilities)
        genus, genus_probability = genera.argmax(axis=1), genera.max(axis=1)
        by_species = ~refused & (seen.probability >= self.species)
        by_genus = ~refused & ~by_species & (genus_probability >= self.genus)
        p_venomous = seen.probabilities[:, species.venomous].sum(axis=1)
        by_venom = ~refused & ~by_species & ~by_genus & (p_venomous >= self.venomous)
        return Levels(refused, by_species, by_genus, by_venom, genus, genus_probability)

    def sets(self, seen: Observations) -> Flags:
        """Which species are in each prediction set, bool [O, C]; the answered one always is."""
        inside = seen.probabilities >= np.array(self.set_probability)
        inside[np.arange(len(seen)), seen.answered] = True
        return inside


def fit_thresholds(
    seen: Observations, truth: Columns, species: Species, promises: Promises | None = None
) -> Thresholds:
    """Fit all of them.

    Args:
        seen: what a model says of observations that it was not trained on.
        truth: column of each one's species, [O].
        species: of the columns.
        promises: to be kept.

    Raises:
        IdentificationError: fewer than 20 observations.
    """
    promises = promises or Promises()
    if len(seen) < LEAST_ANSWERED:
        raise IdentificationError(
            f"{len(seen)} observations are too few to fit thresholds on: {LEAST_ANSWERED} at least."
        )
    familiarity = fit_familiarity(seen.probability, seen.nearness, promises.known_answered)
    kept = familiarity.of(seen) >= familiarity.least
    right = seen.answered == truth
    by_species = _lowest_probability(seen.probability[kept], right[kept], promises.accuracy)
    genera = species.genus_probabilities(seen.probabilities)
    left = kept & (seen.probability < by_species)
    right_genus = genera.argmax(axis=1) == species.genus[truth]
    by_genus = _lowest_probability(genera.max(axis=1)[left], right_genus[left], promises.accuracy)
    left &= genera.max(axis=1) < by_genus
    p_venomous = seen.probabilities[:, species.venomous].sum(axis=1)
    by_venom = _lowest_probability(p_venomous[left], species.venomous[truth][left], promises.accuracy)
    return Thresholds(
        promises=promises,
        observations=len(seen),
        familiarity=familiarity,
        species=by_species,
        genus=by_genus,
        venomous=by_venom,
        set_probability=tuple(_set_probabilities(seen.probabilities, truth, species, promises).tolist()),
    )


def _steps(values: Floats) -> tuple[float, ...]:
    return tuple(np.quantile(values, np.linspace(0, 1, STEPS + 1)).tolist())


def _log_share_below(values: Floats, steps: Sequence[float]) -> Floats:
    """log of the share of known observations that score lower, at least one in twice as many as steps."""
    share = np.searchsorted(np.array(steps), values, side="right") / len(steps)
    return np.log(np.maximum(share, 0.5 / len(steps)))


def _lowest_probability(probability: Floats, right: Flags, promised: float) -> float:
    """From which probability up the answers are right as often as promised, 0.5 at least.

    Where there are too few to tell, or at no probability, the probability itself has to reach the promise.
    """
    order = np.argsort(-probability, kind="stable")
    falling, answered = probability[order], np.arange(1, len(order) + 1)
    shares = np.cumsum(right[order]) / answered
    # The lowest of all that would do is the luckiest: it has to do by a standard error more.
    enough = promised + np.sqrt(promised * (1 - promised) / answered)
    # Equal probabilities are answered together.
    last = np.append(falling[1:] != falling[:-1], True)[: len(order)]
    kept = np.flatnonzero(last & (shares >= enough) & (answered >= LEAST_ANSWERED))
    return max(0.5, float(falling[kept[-1]])) if len(kept) else promised


def _set_probabilities(probabilities: Floats, truth: Columns, species: Species, promises: Promises) -> Floats:
    """The probability of the true species that all but a promised share of observations reach, by column."""
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)[:, 0]
    least = np.empty(probabilities.shape[1])
    for venomous in (False, True):
        missed = 1 - (promises.venomous_coverage if venomous else promises.coverage)
        together = own[species.venomous[truth] == venomous]
        for column in np.flatnonzero(species.venomous == venomous).tolist():
            alone = own[truth == column]
            # With fewer, one odd observation more or less would decide.
            least[column] = _conformal_quantile(alone if len(alone) * missed >= 2 else together, missed)
    return least


def _conformal_quantile(own: Floats, missed: float) -> float:
    """The floor(missed (n + 1))-th lowest of n; 0, which is every species, where there is none."""
    rank = int(np.floor(missed * (len(own) + 1) + 1e-9))
    return float(np.sort(own)[rank - 1]) if rank else 0.0
