"""What guessing scores."""

import numpy as np
import pytest

from snake_assets.learning.chance import chance_level
from snake_assets.learning.errors import LearningError


def test_accuracy_and_cost_are_near_their_expectations() -> None:
    truth = np.repeat([1, 2, 3, 4], 50)
    level = chance_level(truth, {1: False, 2: False, 3: True, 4: True}, [1, 2, 3, 4], draws=100)
    assert level["accuracy"] == pytest.approx(25, abs=1)
    # Of four guesses a harmless truth pays 0, 1, 2, 2 and a venomous one 5, 5, 0, 2.
    assert level["track2"] == pytest.approx(100 * 5 / 4 + 100 * 12 / 4, rel=0.03)
    assert set(level) == {"track1", "track2", "f1", "accuracy"}


def test_one_candidate_leaves_nothing_to_chance() -> None:
    assert chance_level([1, 1], {1: False}, [1], draws=3)["track1"] == 100.0


def test_the_seed_decides() -> None:
    truth, venomous = [1, 2] * 10, {1: False, 2: True}
    first = chance_level(truth, venomous, [1, 2], draws=5, seed=1)
    assert first == chance_level(truth, venomous, [2, 1], draws=5, seed=1)
    assert first != chance_level(truth, venomous, [1, 2], draws=5, seed=2)


@pytest.mark.parametrize(("truth", "candidates", "draws"), [([], [1], 5), ([1], [], 5), ([1], [1], 0)])
def test_nothing_to_guess(truth: list[int], candidates: list[int], draws: int) -> None:
    with pytest.raises(LearningError, match="at least one of each"):
        chance_level(truth, {1: False}, candidates, draws)
