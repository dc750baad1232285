"""Training a classifier: everything is chosen on folds of the table, then trained on all of it."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.blending import vote_recipes
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decisions import venom_flags
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import BLOCKS, CLS, FeatureTable
from snake_assets.learning.fitting import LinearModel, fit_models
from snake_assets.learning.fold_scores import FoldJudge, out_of_fold_logits
from snake_assets.learning.folds import grouped_folds
from snake_assets.learning.location import LocationPrior
from snake_assets.learning.near_duplicates import duplicate_groups
from snake_assets.learning.places import NOWHERE, Place, fit_places, out_of_fold_places
from snake_assets.learning.references import HeldOutVotes, References, fit_references, held_out_votes
from snake_assets.learning.refinement import Selection, refine
from snake_assets.learning.selection import Candidate, choose_linear
from snake_assets.learning.settings import FeatureSet, Recipe, TrainingSettings
from snake_assets.learning.standardisation import fit_standardisation


def train_classifier(
    table: FeatureTable,
    venomous: Mapping[int, bool],
    settings: TrainingSettings,
    fingerprint: str,
    progress: Callable[[str], None] | None = None,
    places: Mapping[str, Place] | None = None,
) -> SpeciesClassifier:
    """Choose features, heads, temperature, pooling and decision rule on folds; train the outcome on all.

    Args:
        table: labelled photos of the train split.
        venomous: class_id -> is medically important venomous, at least for the table's species.
        settings: what is tried.
        fingerprint: of the backbone and preprocessing behind the features.
        progress: called with a short line after each fold.
        places: where observations were made, by observation_id, as far as that is known.

    Raises:
        LearningError: no photos, no labels, a single species, a species that the venom list lacks,
            features that do not vary, no feature set that the table has, or nothing to hold out
            (see `grouped_folds`).
    """
    class_ids, labels = _species(table)
    _refuse_useless(table, fingerprint)
    available = _available(table, settings)
    folds = grouped_folds(
        table.observation_id,
        labels,
        table.sha256,
        settings.folds,
        settings.seed,
        most_held_out=settings.most_held_out(len(available), len(class_ids)),
        alike=_alike(table, settings.near_duplicates),
    )
    judge = FoldJudge(table.observation_id, labels, class_ids, folds, venomous)
    candidates: list[Candidate] = []
    logits: list[npt.NDArray[np.float32]] = []
    for features in available:
        recipes = _distinct(settings.recipes(features), labels)
        logits += list(
            out_of_fold_logits(
                table.matrix(features),
                labels,
                len(class_ids),
                folds,
                recipes,
                settings.optimisation,
                progress or (lambda line: None),
            )
        )
        own = logits[-len(recipes) :]
        candidates += [
            Candidate(recipe=recipe, scores=judge.judge(one))
            for recipe, one in zip(recipes, own, strict=True)
        ]
    linear = choose_linear(candidates, logits, judge.judge, settings.average)
    first = np.sort(np.unique(table.observation_id, return_index=True)[1])
    seen = [(places or {}).get(table.observation_id[row], NOWHERE) for row in first.tolist()]
    somewhere = any(place.known for place in seen)
    selection = refine(
        linear,
        candidates,
        judge,
        settings,
        _votes(table, labels, len(class_ids), folds, settings),
        (lambda said: out_of_fold_places(said, seen, labels[first], folds[first])) if somewhere else None,
    )
    location = fit_places(seen, labels[first], len(class_ids)) if somewhere else None
    return _train(table, venomous, settings, selection, fingerprint, location)


def refit(
    classifier: SpeciesClassifier, table: FeatureTable, venomous: Mapping[int, bool]
) -> SpeciesClassifier:
    """Train the chosen recipes on other photos (train and val, say) and choose nothing anew.

    Temperature, decision rule, settings and the record of the selection stay those of `classifier`;
    species, prior, standardisation, weights and votes are the table's. The location prior keeps its counts.

    Raises:
        LearningError: as `train_classifier`, or features other than the classifier's.
    """
    if not classifier.features.items() <= table.dims.items():
        raise LearningError(f"The recipe needs the blocks {classifier.features}, the table has {table.dims}.")
    _refuse_useless(table, classifier.fingerprint)
    location = classifier.location
    if location is not None:
        own, wanted = classifier.class_ids.tolist(), _species(table)[0].tolist()
        location = location.for_species(own, wanted)
    return _train(
        table, venomous, classifier.settings, classifier.selection, classifier.fingerprint, location
    )


def _train(
    table: FeatureTable,
    venomous: Mapping[int, bool],
    settings: TrainingSettings,
    selection: Selection,
    fingerprint: str,
    location: LocationPrior | None,
) -> SpeciesClassifier:
    class_ids, labels = _species(table)
    flags = venom_flags(class_ids, venomous)
    members = [selection.candidates[number] for number in selection.members]
    used: set[str] = {name for member in members for name in member.recipe.features}
    features: dict[str, int] = {name: table.dims[name] for name in BLOCKS if name in used}
    first_photos = np.unique(table.observation_id, return_index=True)[1]
    observations = np.bincount(labels[first_photos], minlength=len(class_ids))
    return SpeciesClassifier(
        class_ids=class_ids,
        features=features,
        model=_average_model(table, labels, len(class_ids), features, members, settings),
        temperature=selection.scores.temperature,
        pooling=selection.pooling,
        rule=selection.rule,
        prior=observations / observations.sum(),
        venomous=flags,
        fingerprint=fingerprint,
        settings=settings,
        selection=selection,
        references=_references(table, labels, len(class_ids), selection, settings),
        location=location,
    )


def _votes(
    table: FeatureTable,
    labels: npt.NDArray[np.int64],
    classes: int,
    folds: npt.NDArray[np.int64],
    settings: TrainingSettings,
) -> HeldOutVotes | None:
    if CLS not in table.blocks or not vote_recipes(settings):
        return None
    return held_out_votes(
        table.blocks[CLS], labels, classes, folds, settings.vote_shrinkage, max(settings.neighbours)
    )


def _references(
    table: FeatureTable,
    labels: npt.NDArray[np.int64],
    classes: int,
    selection: Selection,
    settings: TrainingSettings,
) -> References | None:
    blend = selection.votes.blend
    if blend is None or not selection.votes.taken:
        return None
    return fit_references(table.blocks[CLS], labels, classes, settings.vote_shrinkage, blend.recipe)


def _average_model(
    table: FeatureTable,
    labels: npt.NDArray[np.int64],
    classes: int,
    features: dict[str, int],
    members: list[Candidate],
    settings: TrainingSettings,
) -> LinearModel:
    ends = np.cumsum(list(features.values()))
    columns = {name: np.arange(end - features[name], end) for name, end in zip(features, ends, strict=True)}
    weight, bias = np.zeros((ends[-1], classes)), np.zeros(classes)
    for names in dict.fromkeys(member.recipe.features for member in members):
        group = [member for member in members if member.recipe.features == names]
        recipes = [member.recipe for member in group]
        models = fit_models(table.matrix(names), labels, classes, recipes, settings.optimisation)
        rows = np.concatenate([columns[name] for name in names])
        for member, model in zip(group, models, strict=True):
            # A lone recipe's temperature is the classifier's, and is divided by there.
            share = 1 / (len(members) * member.scores.temperature) if len(members) > 1 else 1.0
            weight[rows] += share * model.weight
            bias += share * model.bias
    # Columns are standardised one by one, so all members agree on every column that they share.
    standardisation = fit_standardisation(table.matrix(list(features)))
    return LinearModel(standardisation, weight.astype(np.float32), bias.astype(np.float32))


def _species(table: FeatureTable) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    if len(table) == 0:
        raise LearningError("The table holds no photo: check that the train split's photos were found.")
    if table.class_id is None:
        raise LearningError("The table has no class_id: a classifier is trained on labelled photos.")
    class_ids, labels = np.unique(table.class_id, return_inverse=True)
    if class_ids.size == 1:
        raise LearningError(f"All photos are of class_id {class_ids[0]}: training needs two species or more.")
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


def _alike(table: FeatureTable, least_cosine: float | None) -> npt.NDArray[np.int64] | None:
    # Less their mean: a backbone that was never trained finds all photos alike.
    if least_cosine is None or CLS not in table.blocks:
        return None
    tokens = table.blocks[CLS]
    return duplicate_groups(tokens, least_cosine, centre=tokens.mean(axis=0))


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
