"""Votes of reference photos: the same on folds and after fitting, and recipes that are what they say."""

import numpy as np
import pytest

from snake_assets.learning.folds import grouped_folds
from snake_assets.learning.references import VoteRecipe, fit_references, held_out_votes
from snake_assets_tests.learning.tables import species_table

TABLE = species_table(spread=1.0)
CLS, LABELS = TABLE.blocks["cls"], np.searchsorted([3, 7, 12, 30], TABLE.class_id)
RECIPES = [VoteRecipe(k=5, temperature=0.1), VoteRecipe(k=None, temperature=0.1)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_held_out_votes_are_those_of_references_that_have_not_seen_the_fold(recipe: VoteRecipe) -> None:
    folds = grouped_folds(TABLE.observation_id, LABELS, TABLE.sha256, 3, 0)
    said = held_out_votes(CLS, LABELS, 4, folds, 0.4, 10).probabilities(recipe)
    for fold in range(3):
        outside = folds != fold
        references = fit_references(CLS[outside], LABELS[outside], 4, 0.4, recipe)
        expected = references.probabilities(CLS[~outside])
        np.testing.assert_allclose(said[folds[folds >= 0] == fold], expected, atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_unseen_photos_are_recognised(recipe: VoteRecipe) -> None:
    unseen = species_table(seed=1, spread=0.3)
    votes = fit_references(CLS, LABELS, 4, 0.4, recipe).probabilities(unseen.blocks["cls"])
    assert (votes.argmax(axis=1) == LABELS).mean() > 0.9
    np.testing.assert_allclose(votes.sum(axis=1), 1, atol=1e-5)


def test_mean_photos_are_one_reference_for_each_species() -> None:
    assert fit_references(CLS, LABELS, 4, 0.4, RECIPES[0]).vectors.shape == (48, 8)
    assert fit_references(CLS, LABELS, 4, 0.4, RECIPES[1]).labels.tolist() == [0, 1, 2, 3]


def test_more_neighbours_than_photos_are_all_of_them() -> None:
    everyone = fit_references(CLS, LABELS, 4, 0.4, VoteRecipe(k=1000, temperature=5.0))
    # At so high a temperature every photo's vote is nearly the same.
    np.testing.assert_allclose(everyone.probabilities(CLS[:3]), 0.25, atol=0.05)
