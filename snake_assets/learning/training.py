"""Training a classifier: everything is chosen on folds of the table, then trained on all of it."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decisions import DecisionRule, venom_flags
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.fitting import fit_models
from snake_assets.learning.folds import grouped_folds
from snake_assets.learning.selection import FoldJudge, Selection, choose, out_of_fold_logits
from snake_assets.learning.settings import FeatureSet, Recipe, TrainingSettings


def train_classifier(
    table: FeatureTable,
    venomous: Mapping[int, bool],
    settings: TrainingSettings,
    fingerprint: str,
    progress: Callable[[str], None] | None = None,
) -> tuple[SpeciesClassifier, Selection]:
    """Choose features, regularisation, temperature and decision rule on folds; train the winner on all.

    Args:
        table: labelled photos of the train split.
        venomous: class_id -> is medically important venomous, at least for the table's species.
        settings: what is tried.
        fingerprint: of the backbone and preprocessing behind the features.
        progress: called with a short line after each fold.

    Raises:
        LearningError: no photos, no labels, a single species, a species that the venom list lacks,
            features that do not vary, no feature set that the table has, or nothing to hold out
            (see `grouped_folds`).
    """
    class_ids, labels = _species(table)
    _refuse_useless(table, fingerprint)
    folds = grouped_folds(table.observation_id, labels, table.sha256, settings.folds, settings.seed)
    judge = FoldJudge(table, labels, class_ids, folds, venomous)
    candidates = []
    for features in _available(table, settings):
        matrix = table.matrix(features)
        recipes = _distinct(settings.recipes(features), labels)
        logits = out_of_fold_logits(
            matrix, labels, len(class_ids), folds, recipes, settings.optimisation, progress or _say_nothing
        )
        candidates += [judge.candidate(recipe, own) for recipe, own in zip(recipes, logits, strict=True)]
    selection = choose(candidates, judge.observations)
    winner = selection.winner
    classifier = _train(
        table, venomous, winner.recipe, winner.temperature, selection.rule, settings, selection, fingerprint
    )
    return classifier, selection


def refit(
    classifier: SpeciesClassifier, table: FeatureTable, venomous: Mapping[int, bool]
) -> SpeciesClassifier:
    """Train the chosen recipe on other photos (train and val, say) and choose nothing anew.

    Temperature, decision rule, settings and the record of the selection stay those of `classifier`;
    species, prior, standardisation and weights are the table's.

    Raises:
        LearningError: as `train_classifier`, or features other than the classifier's.
    """
    if not classifier.features.items() <= table.dims.items():
        raise LearningError(
            f"The recipe asks for the blocks {classifier.features}, the table has {table.dims}."
        )
    _refuse_useless(table, classifier.fingerprint)
    return _train(
        table,
        venomous,
        classifier.recipe,
        classifier.temperature,
        classifier.rule,
        classifier.settings,
        classifier.selection,
        classifier.fingerprint,
    )


def _train(
    table: FeatureTable,
    venomous: Mapping[int, bool],
    recipe: Recipe,
    temperature: float,
    rule: DecisionRule,
    settings: TrainingSettings,
    selection: Selection,
    fingerprint: str,
) -> SpeciesClassifier:
    class_ids, labels = _species(table)
    flags = venom_flags(class_ids, venomous)
    (model,) = fit_models(
        table.matrix(recipe.features), labels, len(class_ids), [recipe], settings.optimisation
    )
    first_photos = np.unique(table.observation_id, return_index=True)[1]
    observations = np.bincount(labels[first_photos], minlength=len(class_ids))
    return SpeciesClassifier(
        class_ids=class_ids,
        features={name: table.dims[name] for name in recipe.features},
        model=model,
        temperature=temperature,
        rule=rule,
        prior=observations / observations.sum(),
        venomous=flags,
        fingerprint=fingerprint,
        recipe=recipe,
        settings=settings,
        selection=selection,
    )


def _species(table: FeatureTable) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    if len(table) == 0:
        raise LearningError("The table holds no photo: check that the train split's photos were found.")
    if table.class_id is None:
        raise LearningError("The table has no class_id: a classifier is trained on labelled photos.")
    class_ids, labels = np.unique(table.class_id, return_inverse=True)
    if class_ids.size == 1:
        raise LearningError(
            f"All photos are of class_id {class_ids[0]}: a classifier needs at least two species."
        )
    return class_ids, labels.astype(np.int64)


def _refuse_useless(table: FeatureTable, fingerprint: str) -> None:
    if table.fingerprint is not None and table.fingerprint != fingerprint:
        raise LearningError(
            f"The table's features are of {table.fingerprint!r}, not of {fingerprint!r}: compute the "
            f"embeddings with that backbone, or train a new classifier."
        )
    if all(bool((values == values[:1]).all()) for values in table.blocks.values()):
        raise LearningError(
            f"All {len(table)} photos have the same features: the embeddings of this split are broken, "
            f"compute them again."
        )


def _available(table: FeatureTable, settings: TrainingSettings) -> list[FeatureSet]:
    available = [names for names in settings.feature_sets if set(names) <= table.blocks.keys()]
    if not available:
        raise LearningError(
            f"The table holds the blocks {sorted(table.blocks)}, with which none of the feature sets "
            f"{settings.feature_sets} can be made."
        )
    return available


def _distinct(recipes: list[Recipe], labels: npt.NDArray[np.int64]) -> list[Recipe]:
    # With as many photos of each species, the class weightings ask for the same head.
    if np.unique(np.bincount(labels)).size > 1:
        return recipes
    return [recipe for recipe in recipes if recipe.class_weighting == recipes[0].class_weighting]


def _say_nothing(line: str) -> None:
    pass
