"""Other ways of answering than the classifier's own, to be scored beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snake_assets.learning.averaging import average_model, blocks_of
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decisions import RULES, argmax, safest_class
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.observations import pool_observations
from snake_assets.learning.places import NOWHERE, Place
from snake_assets.learning.references import VoteRecipe, fit_references
from snake_assets.learning.views import ViewChoice

WITH_PLACES = "with the location prior"


def other_ways(
    classifier: SpeciesClassifier,
    train: FeatureTable,
    table: FeatureTable,
    order: Sequence[str],
    places: Mapping[str, Place],
) -> dict[str, npt.NDArray[np.int32]]:
    """What would have been answered otherwise: name -> class_ids in the order of `order`, [O].

    The classifier under each decision rule; with the location prior, where it has one and any of these
    observations has a known place; without votes, where its heads are blended with them; the votes of
    nearest and mean photos by themselves, by the recipes that the folds of train chose; and, where there are
    crops, the best heads that see whole photos alone, crops alone, or both, without votes.

    Args:
        classifier: the one that the report is about.
        train: the photos that it was trained on.
        table: features of the observations' readable photos.
        order: all observations.
        places: where they were made, by observation_id, as far as that is known.

    Raises:
        LearningError: as `SpeciesClassifier.identify`.
    """
    observed = classifier.observe(table, order)
    ways = {f"decided by {rule}": classifier.answers(observed, rule) for rule in RULES}
    if classifier.location is not None and any(places.get(name, NOWHERE).known for name in order):
        ways[WITH_PLACES] = classifier.answers(classifier.located(observed, places), classifier.rule)
    if classifier.references is not None:
        ways["the heads without votes"] = replace(classifier, references=None).identify(table, order).class_id
    for baseline in classifier.selection.votes.baselines:
        ways[baseline.recipe.name] = _by_votes(classifier, baseline.recipe, train, table, order)
    for choice in classifier.selection.views:
        ways[choice.view] = _by_heads(classifier, choice, train).identify(table, order).class_id
    return ways


def _by_heads(classifier: SpeciesClassifier, choice: ViewChoice, train: FeatureTable) -> SpeciesClassifier:
    members = [classifier.selection.candidates[number] for number in choice.members]
    features = blocks_of(members, train)
    labels = np.searchsorted(classifier.class_ids, np.asarray(train.class_id))
    classes = len(classifier.class_ids)
    return replace(
        classifier,
        features=features,
        model=average_model(train, labels, classes, features, members, classifier.settings),
        temperature=choice.scores.temperature,
        references=None,
    )


def _by_votes(
    classifier: SpeciesClassifier,
    recipe: VoteRecipe,
    train: FeatureTable,
    table: FeatureTable,
    order: Sequence[str],
) -> npt.NDArray[np.int32]:
    labels = np.searchsorted(classifier.class_ids, np.asarray(train.class_id))
    references = fit_references(
        train.blocks[CLS], labels, len(classifier.class_ids), classifier.settings.vote_shrinkage, recipe
    )
    votes = references.probabilities(table.blocks[CLS])
    _, probabilities = pool_observations(votes, table.observation_id, order)
    unreadable = np.isnan(probabilities[:, 0])
    answers = argmax(np.nan_to_num(probabilities), classifier.class_ids)
    answers[unreadable] = safest_class(classifier.prior, classifier.class_ids, classifier.venomous)
    return answers
