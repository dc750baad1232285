"""What a classifier is worth on observations that it has never seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from snake_assets.learning.chance import chance_level
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.leakage import Leakage, find_leakage
from snake_assets.learning.mistakes import Mistake, all_mistakes, with_nearest
from snake_assets.learning.predictions import Predictions
from snake_assets.learning.species_table import PhotoGroup, accuracy_by_photos, species_table
from snake_assets.learning.statements import Statements, hold_against_truth
from snake_assets.learning.variants import OWN, Variant, compare, without
from snake_assets.snakeclef.metric import Scores

# Counts as an input: raise it when the same classifier and features would give another report.
REPORT_VERSION = 4
MISTAKES_EXPLAINED = 10
# (truth is venomous, prediction is venomous) -> observations.
VenomCounts = dict[tuple[bool, bool], int]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Predictions held against the truth, one entry per observation.

    Attributes:
        predictions: of the O observations.
        truth: int32 [O].
        names: class_id -> species, as far as the metadata names them.
        venomous: class_id -> is venomous.
        variants: scores with intervals, the classifier's own answer first, then other ways (ways.py).
        chance: mean track1, track2, f1 and accuracy of guessing among the classifier's species.
        unreadable: observations without a readable photo.
        unseen: class_ids of the truth that the classifier does not know.
        venom_counts: observations by venom status, right species or not.
        venom_errors: the same, of those whose species is wrong.
        species: a `species_table`.
        by_photos: accuracy against the number of training photos.
        mistakes: all, most costly first; the first ten with their nearest training photos.
        leakage: photos that stand in train too.
        confidence: of the most probable species, how often it is right at which probability.
        venom_confidence: how often a snake is venomous at which p_venomous.
    """

    predictions: Predictions
    truth: npt.NDArray[np.int32]
    names: Mapping[int, str]
    venomous: Mapping[int, bool]
    variants: Sequence[Variant]
    chance: Mapping[str, float]
    unreadable: Sequence[str]
    unseen: Sequence[int]
    venom_counts: VenomCounts
    venom_errors: VenomCounts
    species: pl.DataFrame
    by_photos: Sequence[PhotoGroup]
    mistakes: Sequence[Mistake]
    leakage: Leakage
    confidence: Statements
    venom_confidence: Statements

    @property
    def scores(self) -> Scores:
        """The official scores of the classifier's own answer."""
        return self.variants[0].scores

    @property
    def dangerous(self) -> list[Mistake]:
        """The mistakes that matter most: venomous taken for harmless."""
        return [one for one in self.mistakes if self.venomous[one.truth] and not self.venomous[one.predicted]]


def judge(
    classifier: SpeciesClassifier,
    train: FeatureTable,
    val: FeatureTable,
    order: Sequence[str],
    truth: Mapping[str, int],
    venomous: Mapping[int, bool],
    names: Mapping[int, str],
    answers: Mapping[str, npt.NDArray[np.integer]] | None = None,
) -> Judgement:
    """Identify the observations of `order`, score them officially, and look at where it goes wrong.

    Args:
        classifier: trained without these observations.
        train: the photos that it was trained on.
        val: features of the observations' readable photos.
        order: every observation of the split, with or without a readable photo.
        truth: observation_id -> class_id.
        venomous: class_id -> is venomous.
        names: class_id -> species.
        answers: other ways of answering to compare with: name -> class_ids in the order of `order`, [O].

    Raises:
        LearningError: the features are not of the classifier's backbone, train has no labels, or one of the
            answers is not about these observations.
        DataError: no observation, or a class without a venom status.
    """
    if train.class_id is None:
        raise LearningError("The training photos have no class_id: read the features of the train split.")
    predictions = classifier.identify(val, order)
    labels = np.array([truth[observation] for observation in order], dtype=np.int32)
    guessed = predictions.class_id
    leakage = find_leakage(train, val)
    species = species_table(labels, guessed, train.class_id, names, venomous)
    mistakes = all_mistakes(predictions, labels, venomous, val)
    return Judgement(
        predictions=predictions,
        truth=labels,
        names=names,
        venomous=venomous,
        variants=[
            *compare({OWN: guessed, **(answers or {})}, labels, venomous),
            *without(
                leakage.observations, "with a copy or near copy in train", order, guessed, labels, venomous
            ),
        ],
        chance=chance_level(labels, venomous, classifier.class_ids),
        unreadable=[name for name, photos in zip(order, predictions.photos, strict=True) if photos == 0],
        unseen=sorted(set(labels.tolist()) - set(classifier.class_ids.tolist())),
        venom_counts=_by_venom(labels, guessed, venomous, np.ones(len(labels), dtype=bool)),
        venom_errors=_by_venom(labels, guessed, venomous, labels != guessed),
        species=species,
        by_photos=accuracy_by_photos(species),
        mistakes=[
            *with_nearest(mistakes[:MISTAKES_EXPLAINED], val, train),
            *mistakes[MISTAKES_EXPLAINED:],
        ],
        leakage=leakage,
        confidence=hold_against_truth(
            predictions.top5_probability[:, 0], predictions.top5_class_id[:, 0] == labels
        ),
        venom_confidence=hold_against_truth(
            predictions.p_venomous, np.array([venomous[label] for label in labels.tolist()])
        ),
    )


def _by_venom(
    truth: npt.NDArray[np.int32],
    predicted: npt.NDArray[np.int32],
    venomous: Mapping[int, bool],
    counted: npt.NDArray[np.bool_],
) -> VenomCounts:
    pairs = [
        (venomous[int(true)], venomous[int(guess)])
        for true, guess, included in zip(truth, predicted, counted, strict=True)
        if included
    ]
    return {(true, guess): pairs.count((true, guess)) for true in (False, True) for guess in (False, True)}
