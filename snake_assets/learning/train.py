"""Training a classifier: two numbers are chosen on folds of the table, then all of it is trained on."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.cross_validation.folds import ALWAYS_TRAINING, grouped_folds
from snake_assets.learning.cross_validation.near_duplicates import duplicate_groups
from snake_assets.learning.cross_validation.out_of_fold import Choice, choose
from snake_assets.learning.decision.rules import known_venom, venom_flags, venom_gap
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.linear_head import fit_heads
from snake_assets.learning.neighbours import fit_neighbours
from snake_assets.learning.settings import Recipe

# Counts as an input: raise it when the same features would give another classifier.
CLASSIFIER_VERSION = 7
# From so many photos or species on, one fold of them is held out, of about 10,000 photos at most: these tell
# candidates apart well enough, and every further fold would cost as much as the classifier itself.
MANY, MANY_SPECIES, HELD_OUT_OF_MANY = 50_000, 500, 10_000


def train_classifier(
    table: FeatureTable,
    venomous: Mapping[int, bool],
    recipe: Recipe,
    fingerprint: str,
    progress: Callable[[str], None] = lambda line: None,
) -> SpeciesClassifier:
    """Choose the head's strength and the neighbours' share on folds; train the outcome on all photos.

    `venomous` tells of class_ids whether they are medically important venomous: of all of the table's, or
    venom counts as not known. `fingerprint` names the backbone and preprocessing behind the features.

    Raises:
        LearningError: no photos, no labels, a single species, a rule that needs venom where it is not known,
            features that do not vary or of another backbone, none of the recipe's blocks, or nothing to hold
            out (see `grouped_folds`).
    """
    class_ids, labels = _usable(table, recipe, fingerprint, venomous)
    folds = folds_of(table, recipe)
    known = known_venom(class_ids, venomous)
    choice = choose(table, labels, class_ids, folds, recipe, known, progress)
    return _trained(table, venomous, recipe, choice, fingerprint)


def folds_of(table: FeatureTable, recipe: Recipe) -> npt.NDArray[np.int64]:
    """The fold in which each labelled photo is held out, as from `grouped_folds`; of many, one fold.

    Observations with a photo that the backbone was fine-tuned on are `ALWAYS_TRAINING`: what is said of them
    would flatter whatever is chosen.

    Raises:
        LearningError: nothing can be held out.
    """
    unseen, taught = np.arange(len(table)), None
    folds = np.full(len(table), ALWAYS_TRAINING, np.int64)
    if table.seen is not None and table.seen.any():
        names, class_ids = np.array(table.observation_id), np.asarray(table.class_id)
        is_seen = np.isin(names, names[table.seen])
        unseen = np.flatnonzero(~is_seen)
        taught = np.isin(class_ids[unseen], class_ids[is_seen])
        if len(unseen) == 0:
            raise LearningError(
                "The backbone was fine-tuned on every observation of train, so nothing is left to choose by: "
                "tune it again with a part held out, or add photos."
            )
        table = table.rows(unseen)
    cls, alike = table.blocks[CLS], None
    many = len(table) > MANY or np.unique(np.asarray(table.class_id)).size > MANY_SPECIES
    if recipe.near_duplicates:
        # Less their mean: a backbone that was never trained finds all photos alike.
        alike = duplicate_groups(cls, recipe.near_duplicates, cls.mean(axis=0))
    folds[unseen] = grouped_folds(
        table.observation_id,
        np.asarray(table.class_id),
        table.sha256,
        max(recipe.folds, -(-len(table) // HELD_OUT_OF_MANY)) if many else recipe.folds,
        recipe.seed,
        alike,
        taught,
    )
    return np.where(folds > 0, ALWAYS_TRAINING, folds) if many else folds


def refit(
    classifier: SpeciesClassifier, table: FeatureTable, venomous: Mapping[int, bool]
) -> SpeciesClassifier:
    """Train on other photos (train and val, say) with what `classifier` chose, and choose nothing anew.

    Raises:
        LearningError: as `train_classifier`, or features other than the classifier's.
    """
    if not classifier.features.items() <= table.dims.items():
        raise LearningError(f"The recipe needs the blocks {classifier.features}, the table has {table.dims}.")
    return _trained(table, venomous, classifier.recipe, classifier.choice, classifier.fingerprint)


def _trained(
    table: FeatureTable, venomous: Mapping[int, bool], recipe: Recipe, choice: Choice, fingerprint: str
) -> SpeciesClassifier:
    class_ids, labels = _usable(table, recipe, fingerprint, venomous)
    first_photos = np.unique(table.observation_id, return_index=True)[1]
    features = {name: table.dims[name] for name in table.present(recipe.blocks)}
    best, blocks = choice.best, [table.blocks[name] for name in features]
    (head,) = fit_heads(blocks, labels, len(class_ids), [best.strength], recipe.epochs, recipe.seed)
    return SpeciesClassifier(
        class_ids=class_ids,
        features=features,
        head=head,
        neighbours=fit_neighbours(table.blocks[CLS], labels, len(class_ids)),
        share=best.share,
        temperature=best.temperature,
        rule=recipe.rule,
        prior=np.bincount(labels[first_photos], minlength=len(class_ids)) / len(first_photos),
        venomous=venom_flags(class_ids, venomous),
        fingerprint=fingerprint,
        recipe=recipe,
        choice=choice,
    )


def _usable(
    table: FeatureTable, recipe: Recipe, fingerprint: str, venomous: Mapping[int, bool]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The species, ascending, int32 [C], and the column of each photo's, int64 [N]; errors as above."""
    if len(table) == 0:
        raise LearningError("The table holds no photo: check that the train split's photos were found.")
    if table.class_id is None:
        raise LearningError("The table has no class_id: a classifier is trained on labelled photos.")
    class_ids, labels = np.unique(table.class_id, return_inverse=True)
    if class_ids.size == 1:
        raise LearningError(f"All photos are of class_id {class_ids[0]}: training needs two species or more.")
    gap = venom_gap(class_ids, venomous)
    if gap and recipe.rule != "argmax":
        raise LearningError(
            f"The rule {recipe.rule} weighs venomous against harmless species. {gap} Or set the rule argmax."
        )
    if table.fingerprint not in (None, fingerprint):
        raise LearningError(
            f"The table's features are of {table.fingerprint!r}, not of {fingerprint!r}: compute the "
            f"embeddings with that backbone, or train a new classifier."
        )
    names = table.present(recipe.blocks)
    if CLS not in table.blocks or not names:
        raise LearningError(
            f"The table holds the blocks {sorted(table.blocks)}: training needs {CLS!r} for the neighbours "
            f"and one of {', '.join(recipe.blocks)} for the head."
        )
    if all(bool((table.blocks[name] == table.blocks[name][:1]).all()) for name in names):
        raise LearningError(
            f"All {len(table)} photos have the same features: the embeddings of this split are broken, "
            f"compute them again."
        )
    return class_ids, labels.astype(np.int64)
