"""How far answers go: promises kept among new observations, and the edges of small data."""

import numpy as np
import pytest

from snake_assets.identification.thresholds import (
    Observations,
    Promises,
    fit_thresholds,
    joined,
    truths,
)
from snake_assets.learning.errors import LearningError
from snake_assets_tests.identification.conftest import SPECIES


def drawn(count: int, seed: int, hardness: float = 2.0) -> tuple[Observations, np.ndarray]:
    """Observations of a model whose probabilities are calibrated: species are drawn by them."""
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet([1 / hardness] * 4, count)
    truth = np.array([draw.choice(4, p=row) for row in probabilities])
    return Observations(probabilities, probabilities.argmax(axis=1), draw.normal(size=count)), truth


def test_promises_are_kept_among_new_observations() -> None:
    right: dict[str, list[np.ndarray]] = {}
    for seed in range(6):
        thresholds = fit_thresholds(*drawn(2000, seed=2 * seed), SPECIES, Promises())
        new, truth = drawn(2000, seed=2 * seed + 1)
        levels, inside = thresholds.levels(new, SPECIES), thresholds.sets(new)
        venomous, held = SPECIES.venomous[truth], inside[np.arange(2000), truth]
        said, correct = new.said(SPECIES), truths(truth, SPECIES)
        for name, those in {
            "answered": ~thresholds.refused(new),
            **{level: (said[level][1] == correct[level])[here] for level, here in levels.items()},
            "harmless sets": held[~venomous],
            "venomous sets": held[venomous],
        }.items():
            right.setdefault(name, []).append(those)
        # Each observation has one level at most, and its answer is in its set.
        assert np.stack([*levels.values()]).sum(axis=0).max() == 1
        assert inside[np.arange(2000), new.answered].all()
    promised = {"answered": 0.95, "venomous sets": 0.98}
    for name, those in right.items():
        found, share = np.concatenate(those), promised.get(name, 0.9)
        # Thresholds are drawn like what they are held against, hence the 2.
        assert found.mean() >= share - 2 * np.sqrt(2 * share * (1 - share) / len(found)), name
        if name not in levels:
            assert found.mean() == pytest.approx(share, abs=0.015), name


def test_what_is_far_from_all_photos_or_likely_wrong_is_refused_however_sure_the_head_is() -> None:
    seen, truth = drawn(500, seed=1)
    thresholds = fit_thresholds(seen, truth, SPECIES)
    # All were right, so any probability would keep the promise, and yet none below a half is answered.
    assert fit_thresholds(seen, seen.answered, SPECIES).least["species"] == 0.5
    sure = np.array([[0.97, 0.01, 0.01, 0.01]] * 2)
    looked = Observations(sure, np.zeros(2, np.int64), np.array([0.0, -9.0]))
    assert thresholds.levels(looked, SPECIES)["species"].tolist() == [True, False]


def test_with_few_observations_the_probability_itself_has_to_keep_the_promise() -> None:
    seen, truth = drawn(19, seed=1)
    with pytest.raises(LearningError, match="19 observations are too few"):
        fit_thresholds(seen, truth, SPECIES)
    wrong = (seen.answered + 1) % 4
    with_one = joined([seen, seen[np.array([0])]])
    thresholds = fit_thresholds(with_one, np.append(wrong, wrong[:1]), SPECIES)
    assert thresholds.least["species"] == thresholds.least["genus"] == 0.9


def test_a_species_without_an_observation_is_held_to_those_of_its_kind() -> None:
    seen, truth = drawn(2000, seed=1)
    kept = np.flatnonzero(truth != 3)
    thresholds = fit_thresholds(seen[kept], truth[kept], SPECIES)
    harmless = seen.probabilities[kept, 2][truth[kept] == 2]
    assert thresholds.set_probability[3] == pytest.approx(np.quantile(harmless, 0.1), abs=0.05)
