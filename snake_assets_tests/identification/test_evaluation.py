"""What answers are worth, measured on photos that models have not seen."""

from dataclasses import replace

import numpy as np
import pytest

from snake_assets.identification.evaluation import Operation, held_out, judge_operation
from snake_assets.identification.thresholds import Species, fit_thresholds
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.settings import Recipe
from snake_assets.learning.train import train_classifier
from snake_assets_tests.identification.conftest import CLASS_IDS, NAMES, SPECIES, VENOMOUS


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    """Four species of 30 photos, two an observation, the last one far from all others."""
    draw, labels = np.random.default_rng(0), np.repeat(np.arange(4), 30)
    centres = np.eye(4, 12)[labels] * np.array([2, 2, 2, 8])[labels, None]
    photos = draw.normal(size=(120, 12)) + centres + 0.5 * draw.normal(size=(60, 12)).repeat(2, axis=0)
    return FeatureTable(
        [f"{number}" for number in range(120)],
        [f"{number // 2}" for number in range(120)],
        {"cls": photos.astype(np.float32)},
        CLASS_IDS[labels],
    )


@pytest.fixture(scope="module")
def classifier(table: FeatureTable) -> SpeciesClassifier:
    return train_classifier(table, VENOMOUS, Recipe(folds=2), "drawn")


@pytest.fixture(scope="module")
def operation(classifier: SpeciesClassifier, table: FeatureTable) -> Operation:
    found = judge_operation(classifier, table, SPECIES, VENOMOUS)
    assert found is not None
    return found


def test_each_observation_is_held_out_once_by_a_model_that_is_none_of_its_own(
    classifier: SpeciesClassifier, table: FeatureTable
) -> None:
    seen, truth = held_out(classifier, table, VENOMOUS)
    assert np.bincount(truth).tolist() == [15] * 4
    seen_before = classifier.identify(table)
    assert (seen.answered == truth).mean() < (seen_before.class_id == np.repeat(CLASS_IDS, 15)).mean()


def test_a_species_that_only_val_had_is_a_column_all_the_same(
    classifier: SpeciesClassifier, table: FeatureTable
) -> None:
    three = table.rows(np.flatnonzero(table.class_id != 5))
    seen, truth = held_out(classifier, three, VENOMOUS)
    assert seen.probabilities.shape == (45, 4) and np.bincount(truth).tolist() == [15, 0, 15, 15]
    assert (seen.probabilities[:, 1] == 0).all()
    assert len(fit_thresholds(seen, truth, SPECIES).set_probability) == 4


def test_without_venom_there_is_one_promise_for_the_sets_of_all(
    classifier: SpeciesClassifier, table: FeatureTable
) -> None:
    found = judge_operation(replace(classifier, venomous=None), table, Species.of(NAMES, None), {3: True})
    assert {kept.promise: kept.promised for kept in found.kept} == {
        "known observations answered, not refused": 0.95,
        "answers by species are right": 0.9,
        "answers by genus are right": 0.9,
        "sets hold the species of all snakes": 0.9,
    }
    assert all(0.5 < kept.achieved <= 1 for kept in found.kept if kept.achieved is not None)


def test_promises_stand_beside_what_came_of_them(operation: Operation) -> None:
    by_name = {kept.promise: kept for kept in operation.kept}
    assert by_name["known observations answered, not refused"].promised == 0.95
    assert by_name["sets hold the species of venomous snakes"].promised == 0.98
    assert all(kept.achieved is None or 0 <= kept.achieved <= 1 for kept in operation.kept)
    assert operation.observations == 60 and 1 <= operation.set_size <= 4
    shares, risks = zip(*operation.risk_coverage, strict=True)
    assert shares[-1] == 1 and risks[0] <= risks[-1]


def test_each_species_is_left_out_once_and_a_strange_one_is_told_apart(operation: Operation) -> None:
    found = {one.species: one for one in operation.strangers}
    assert sorted(found) == sorted(NAMES) and all(one.observations == 15 for one in operation.strangers)
    assert found["Boiga cyanea"].auroc > 0.9
    assert operation.auroc and operation.auroc[1] <= operation.auroc[0] <= operation.auroc[2]
