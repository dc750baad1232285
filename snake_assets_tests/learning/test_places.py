"""Places on folds: an observation is never judged by a prior that has counted it."""

import numpy as np

from snake_assets.learning.folds import ALWAYS_TRAINING
from snake_assets.learning.places import Place, fit_places, out_of_fold_places, with_places


def test_held_out_observations_are_judged_by_the_others() -> None:
    places = [Place("PH"), Place("US"), Place("PH", True), Place("ZA", False), Place("US"), Place()]
    labels, folds = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, ALWAYS_TRAINING, 1])
    even = np.full((5, 2), 0.5)
    found = out_of_fold_places(even, places, labels, folds)
    for fold, rows, held in ((0, [0, 1], [0, 1]), (1, [2, 3, 4], [2, 3, 5])):
        others = [row for row in range(6) if folds[row] != fold]
        prior = fit_places([places[row] for row in others], labels[others], 2)
        expected = with_places(prior, even[rows], [places[row] for row in held])
        np.testing.assert_allclose(found[rows], expected)


def test_a_place_that_tells_nothing_is_not_known() -> None:
    assert not Place().known
    assert Place("PH").known and Place(endemic=False).known
