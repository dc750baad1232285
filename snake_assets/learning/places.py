"""Where observations were made, and what a location prior is worth on folds that it has not seen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snake_assets.learning.folds import ALWAYS_TRAINING
from snake_assets.learning.location import LocationPrior, fit_location_prior


class Place(NamedTuple):
    """Country code of an observation, and whether it is from where its species is endemic; None: unknown."""

    code: str | None = None
    endemic: bool | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self.code is not None or self.endemic is not None


NOWHERE = Place()


def fit_places(places: Sequence[Place], labels: npt.NDArray[np.integer], classes: int) -> LocationPrior:
    """The prior of training observations' places, [O]; labels [O] are columns of `classes` species."""
    codes, endemic = _columns(places)
    return fit_location_prior(codes, endemic, labels, classes)


def with_places(
    prior: LocationPrior, probabilities: npt.NDArray[np.floating], places: Sequence[Place]
) -> npt.NDArray[np.float64]:
    """Probabilities [O, C] with the evidence of the places multiplied in: float64 [O, C]."""
    codes, endemic = _columns(places)
    return prior.apply(probabilities, codes, endemic)


def out_of_fold_places(
    probabilities: npt.NDArray[np.floating],
    places: Sequence[Place],
    labels: npt.NDArray[np.integer],
    folds: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """As `with_places`, each held-out observation by a prior that has not seen its fold.

    Args:
        probabilities: of the held-out observations, [H, C].
        places: of all O observations, in an order that the held-out ones keep.
        labels: columns of their species, [O].
        folds: theirs, [O], as from `grouped_folds`.
    """
    fold_of_row = folds[folds != ALWAYS_TRAINING]
    found = np.empty(probabilities.shape)
    for fold in range(folds.max() + 1):
        outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        prior = fit_places([places[row] for row in outside.tolist()], labels[outside], probabilities.shape[1])
        here = fold_of_row == fold
        found[here] = with_places(prior, probabilities[here], [places[row] for row in inside.tolist()])
    return found


def _columns(places: Sequence[Place]) -> tuple[list[str | None], list[bool | None]]:
    return [place.code for place in places], [place.endemic for place in places]
