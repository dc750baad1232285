"""How far an answer may go: refusal of the unknown, roll-up to genus, and prediction sets.

All of it is fitted on observations that the model has not seen, out of fold, and keeps a promise among new
observations of the known species:

- *Unknown*. An observation is refused where it looks less familiar than 95 % of the known. Two scores say
  how familiar it looks: the probability of the answer, and how near the nearest training photos of the
  answered species are (gallery.py). They are joined as Fisher joins p-values: the sum of the logarithms of
  the share of known observations that score lower ("Statistical Methods for Research Workers", 1925). Nothing
  is fitted on strangers, of which nobody has a sample.
- *Roll-up*. Species, else genus, else "venomous" is answered from the lowest probability up at which those
  answered were right as often as promised, and never where the answer is more likely wrong than right:
  selective classification after Geifman and El-Yaniv (2017).
- *Prediction sets*. Split conformal prediction, by species where it has enough observations, else among all
  venomous or all harmless ones: least ambiguous sets after Sadinle, Lei and Wasserman (2019).

Where it is not known which species are venomous, "venomous" is not answered, and all species make one group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.errors import LearningError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Columns = npt.NDArray[np.int64]
Share = Annotated[float, Field(gt=0.5, lt=1)]
# How far an answer goes, farthest first.
AnswerLevel = Literal["species", "genus", "venomous_unsure"]

# So many must have been answered before their share of right ones says anything.
LEAST_ANSWERED = 20
VENOMOUS_COVERAGE = 0.98
# Steps of the distributions that scores are held against.
STEPS = 1000


class Promises(BaseModel):
    """What the thresholds are fitted to keep, as shares of new observations of known species.

    Attributes:
        accuracy: right ones among those answered, at each level.
        known_answered: those that are not refused as unknown.
        coverage: harmless observations whose prediction set holds their species; all of them where venom is
            not known.
        venomous_coverage: the same of venomous ones; None where venom is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: Share = 0.9
    known_answered: Share = 0.95
    coverage: Share = 0.9
    venomous_coverage: Share | None = VENOMOUS_COVERAGE


@dataclass(frozen=True, eq=False)
class Species:
    """The species of C columns: name, genus (a number, [C]) and whether medically important venomous, [C].

    `venomous` is None where that is not known of all of them.
    """

    names: Sequence[str]
    genera: Sequence[str]
    genus: Columns
    venomous: Flags | None

    @classmethod
    def of(cls, names: Sequence[str], venomous: npt.ArrayLike | None) -> Species:
        """From binomial names, whose first word is the genus."""
        genera, genus = np.unique([name.split()[0] for name in names], return_inverse=True)
        flags = None if venomous is None else np.asarray(venomous, dtype=bool)
        return cls(list(names), genera.tolist(), genus.astype(np.int64), flags)

    def covered(self, promises: Promises) -> list[tuple[str, Flags, float]]:
        """Whose sets are promised to hold the species how often: in words, which columns [C], share."""
        if self.venomous is None or promises.venomous_coverage is None:
            return [("all snakes", np.ones(len(self.names), bool), promises.coverage)]
        return [
            ("harmless snakes", ~self.venomous, promises.coverage),
            ("venomous snakes", self.venomous, promises.venomous_coverage),
        ]


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

    def __getitem__(self, rows: npt.NDArray[np.integer] | Flags) -> Observations:
        """Some of them."""
        return Observations(self.probabilities[rows], self.answered[rows], self.nearness[rows])

    @property
    def probability(self) -> Floats:
        """Of the answered species, [O]."""
        return np.take_along_axis(self.probabilities, self.answered[:, None], axis=1)[:, 0]

    def said(self, species: Species) -> dict[AnswerLevel, tuple[Floats, Columns]]:
        """What could be answered: by level, its probability and the number of the species or genus, [O] both.

        The number is 1 for venomous ones, of which nothing is said where venom is not known.
        """
        genera = self.probabilities @ np.eye(len(species.genera))[species.genus]
        said: dict[AnswerLevel, tuple[Floats, Columns]] = {
            "species": (self.probability, self.answered),
            "genus": (genera.max(axis=1), genera.argmax(axis=1)),
        }
        if species.venomous is not None:
            p_venomous = self.probabilities[:, species.venomous].sum(axis=1)
            said["venomous_unsure"] = (p_venomous, np.ones(len(p_venomous), np.int64))
        return said


def joined(parts: Sequence[Observations]) -> Observations:
    """Observations of the same species one after the other."""
    return Observations(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.answered for part in parts]),
        np.concatenate([part.nearness for part in parts]),
    )


def truths(truth: Columns, species: Species) -> dict[AnswerLevel, Columns]:
    """What would be right, as `Observations.said` numbers it; `truth` is the column of each species, [O]."""
    right: dict[AnswerLevel, Columns] = {"species": truth, "genus": species.genus[truth]}
    if species.venomous is not None:
        right["venomous_unsure"] = species.venomous[truth].astype(np.int64)
    return right


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
        return _log_share_below(seen.probability, self.probability_steps) + _log_share_below(
            seen.nearness, self.nearness_steps
        )


def fit_familiarity(seen: Observations, answered: float) -> Familiarity:
    """Learn what is familiar from known observations that the model has not seen.

    Args:
        seen: the observations.
        answered: share of the known that is not to be refused.
    """
    steps = np.linspace(0, 1, STEPS + 1)
    fitted = Familiarity(
        probability_steps=tuple(np.quantile(seen.probability, steps).tolist()),
        nearness_steps=tuple(np.quantile(seen.nearness, steps).tolist()),
    )
    return fitted.model_copy(update={"least": float(np.quantile(fitted.of(seen), 1 - answered))})


class Thresholds(BaseModel):
    """Fitted on observations that a model has not seen; JSON.

    Attributes:
        promises: that they keep.
        observations: that they were fitted on.
        familiarity: what is refused as unknown.
        least: by level, the lowest probability at which it is answered.
        set_probability: lowest probability at which a species is in the prediction set, by column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promises: Promises
    observations: int
    familiarity: Familiarity
    least: Mapping[AnswerLevel, float]
    set_probability: tuple[float, ...]

    def refused(self, seen: Observations) -> Flags:
        """Which observations are answered as unknown, whatever species are ruled out afterwards."""
        return self.familiarity.of(seen) < self.familiarity.least

    def levels(
        self, seen: Observations, species: Species, refused: Flags | None = None
    ) -> dict[AnswerLevel, Flags]:
        """By level, which observations are answered so, [O]; on one at most, and unknown where on none.

        Args:
            seen: the observations.
            species: of the columns.
            refused: those that are to be unknown; None asks `refused`.
        """
        left = ~(self.refused(seen) if refused is None else refused)
        found: dict[AnswerLevel, Flags] = {}
        for level, (probability, _) in seen.said(species).items():
            found[level] = left & (probability >= self.least[level])
            left &= ~found[level]
        return found

    def sets(self, seen: Observations) -> Flags:
        """Which species are in each prediction set, bool [O, C]; the answered one always is."""
        inside = seen.probabilities >= np.array(self.set_probability)
        inside[np.arange(len(inside)), seen.answered] = True
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
        LearningError: fewer than 20 observations.
    """
    promises = promises or Promises()
    if species.venomous is None:
        promises = promises.model_copy(update={"venomous_coverage": None})
    if len(truth) < LEAST_ANSWERED:
        raise LearningError(
            f"{len(truth)} observations are too few to fit thresholds on: {LEAST_ANSWERED} at least."
        )
    familiarity = fit_familiarity(seen, promises.known_answered)
    left, right = familiarity.of(seen) >= familiarity.least, truths(truth, species)
    least: dict[AnswerLevel, float] = {}
    for level, (probability, number) in seen.said(species).items():
        correct = number[left] == right[level][left]
        least[level] = _lowest_probability(probability[left], correct, promises.accuracy)
        left &= probability < least[level]
    return Thresholds(
        promises=promises,
        observations=len(truth),
        familiarity=familiarity,
        least=least,
        set_probability=tuple(_set_probabilities(seen.probabilities, truth, species, promises).tolist()),
    )


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
    for _, columns, coverage in species.covered(promises):
        missed = 1 - coverage
        together = own[columns[truth]]
        for column in np.flatnonzero(columns).tolist():
            alone = own[truth == column]
            # With fewer, one odd observation more or less would decide.
            reached = np.sort(alone if len(alone) * missed >= 2 else together)
            rank = int(np.floor(missed * (len(reached) + 1) + 1e-9))
            # The conformal quantile; 0, which is every species, where there is none.
            least[column] = reached[rank - 1] if rank else 0.0
    return least
