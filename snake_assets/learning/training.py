"""Training a classifier: everything is chosen on folds of the table, then trained on all of it."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.averaging import average_model, blocks_of
from snake_assets.learning.blending import vote_recipes
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decisions import venom_flags
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.fold_scores import FoldJudge, out_of_fold_logits
from snake_assets.learning.folds import grouped_folds
from snake_assets.learning.location import LocationPrior
from snake_assets.learning.places import NOWHERE, Place, fit_places, out_of_fold_places
from snake_assets.learning.references import HeldOutVotes, References, fit_references, held_out_votes
from snake_assets.learning.refinement import Selection, refine
from snake_assets.learning.selection import Candidate, choose_linear
from snake_assets.learning.settings import Recipe, TrainingSettings
from snake_assets.learning.training_table import available_sets, photos_alike, refuse_useless, species_of
from snake_assets.learning.views import choose_views


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
    class_ids, labels = species_of(table)
    refuse_useless(table, fingerprint)
    available = available_sets(table, settings)
    folds = grouped_folds(
        table.observation_id,
        labels,
        table.sha256,
        settings.folds,
        settings.seed,
        most_held_out=settings.most_held_out(len(available), len(class_ids)),
        alike=photos_alike(table, settings.near_duplicates),
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
        choose_views(candidates, logits, judge.judge, settings.average),
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
    refuse_useless(table, classifier.fingerprint)
    location = classifier.location
    if location is not None:
        own, wanted = classifier.class_ids.tolist(), species_of(table)[0].tolist()
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
    class_ids, labels = species_of(table)
    flags = venom_flags(class_ids, venomous)
    members = [selection.candidates[number] for number in selection.members]
    features = blocks_of(members, table)
    first_photos = np.unique(table.observation_id, return_index=True)[1]
    observations = np.bincount(labels[first_photos], minlength=len(class_ids))
    return SpeciesClassifier(
        class_ids=class_ids,
        features=features,
        model=average_model(table, labels, len(class_ids), features, members, settings),
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


def _distinct(recipes: list[Recipe], labels: npt.NDArray[np.int64]) -> list[Recipe]:
    # With as many photos of each species, all class weightings but seesaw's ask for the same head.
    if np.unique(np.bincount(labels)).size > 1:
        return recipes
    kept = next((one.class_weighting for one in recipes if one.class_weighting != "seesaw"), "seesaw")
    return [recipe for recipe in recipes if recipe.class_weighting in (kept, "seesaw")]
