"""What a rung says of every observation: its settings, run through the package's own rooms."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from snake_assets.ladder.material import Material, class_ids_of, first_photos, photos_read
from snake_assets.ladder.numbering import numbered_by_frequency
from snake_assets.ladder.paper_trainer import train_as_the_paper
from snake_assets.ladder.settings import PaperTrainer, RungSettings
from snake_assets.learning.decisions import DecisionRule, argmax
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.observations import pool_observations
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.training import train_classifier


@dataclass(frozen=True, eq=False)
class Answers:
    """What a rung says.

    Attributes:
        class_id: as submitted, by R runs: int32 [R, O].
        photos: training photos read.
        own_accuracy: in percent, mean over the runs, on the part of train that a rung held out and chose by:
            of photos with the paper's trainer, of observations with the package's.
        training: how it went, in words.
    """

    class_id: npt.NDArray[np.int32]
    photos: int
    own_accuracy: float
    training: str


def answer(material: Material, settings: RungSettings) -> Answers:
    """Train as a rung says and answer every observation of `material.order`.

    Raises:
        LearningError: photos that it cannot be trained on.
    """
    train = photos_read(material.train, settings.photos_read)
    seen = material.val_rescaled_twice if settings.rescaled_twice else material.val
    if settings.one_photo:
        seen = first_photos(seen)
    trainer = settings.trainer
    answers = (
        _by_the_paper(material, train, seen, trainer)
        if isinstance(trainer, PaperTrainer)
        else _by_the_package(material, train, seen, trainer, settings.rule)
    )
    if settings.numbering == "class_id":
        return answers
    numbered = numbered_by_frequency(answers.class_id, class_ids_of(train), material.venomous)
    return replace(answers, class_id=numbered)


def _by_the_paper(
    material: Material, train: FeatureTable, seen: FeatureTable, trainer: PaperTrainer
) -> Answers:
    train, seen = (material.with_dct(table, trainer.orthonormal_dct) for table in (train, seen))
    models = [train_as_the_paper(train, trainer, run) for run in range(trainer.runs)]
    answers = []
    for trained in models:
        photos = softmax(trained.model.logits(seen.matrix(trainer.features)), 1.0)
        _, probabilities = pool_observations(photos, seen.observation_id, material.order)
        probabilities[np.isnan(probabilities).any(axis=1)] = trained.prior
        answers.append(argmax(probabilities, trained.class_ids))
    epochs = [trained.submitted for trained in models]
    return Answers(
        class_id=np.stack(answers),
        photos=len(train),
        own_accuracy=float(np.mean([trained.accuracy for trained in models])),
        training=f"epoch {min(epochs)} to {max(epochs)} submitted; "
        f"{100 * np.mean([trained.leaked for trained in models]):.0f} % of the held-out photos are of "
        "observations that were trained on",
    )


def _by_the_package(
    material: Material,
    train: FeatureTable,
    seen: FeatureTable,
    settings: TrainingSettings,
    rule: DecisionRule | None,
) -> Answers:
    own = material.classifier
    # Trained by these settings on these photos it would be the same again.
    classifier = (
        own
        if settings == own.settings and train is material.train
        else train_classifier(train, material.venomous, settings, own.fingerprint)
    )
    classifier = replace(classifier, rule=rule or classifier.rule)
    selection = classifier.selection
    blend = selection.votes.blend
    blended = f"{blend.name}; " if blend and selection.votes.taken else ""
    return Answers(
        class_id=classifier.identify(seen, material.order).class_id[None],
        photos=len(train),
        own_accuracy=selection.scores.accuracy,
        training=f"{selection.winner.recipe.name}; {len(selection.members)} averaged; {blended}photos "
        f"pooled by {classifier.pooling}; decided by {classifier.rule}",
    )
