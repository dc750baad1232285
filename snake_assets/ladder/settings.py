"""What a rung of the ladder is: one setting of everything between the photos and their scores."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.decisions import DecisionRule
from snake_assets.learning.settings import FeatureSet, Positive, TrainingSettings

Numbering = Literal["frequency", "class_id"]
PhotosRead = Literal["jpg_of_inaturalist", "all"]
Unit = Literal["photo", "observation"]
Checkpoint = Literal["last", "best"]


class PaperTrainer(BaseModel):
    """The paper's trainer: a linear layer by Adam on small batches, with a part of train held out.

    The loss on the held-out part ends training: after `patience` epochs without a lower one. How well one
    run does is largely luck, so there are several, which differ in their split and batches alone.

    Attributes:
        features: blocks that the layer sees side by side.
        orthonormal_dct: whether the DCT block is scaled to an orthonormal transform, or left un-normalised.
        standardised: whether columns are brought to mean 0 and variance 1 first.
        split_by: what is dealt to the held-out part. Split by photo, it holds photos of observations that
            are trained on.
        checkpoint: which epoch's weights are submitted: the last one's, or those of least held-out loss.
        held_out: one photo in so many is held out.
        epochs: at most.
        patience: in epochs.
        learning_rate: of Adam, constant.
        batch_size: photos per step.
        seed: of the split and of the batches of the first run; each other run has the next.
        runs: how many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: FeatureSet = ("dct",)
    orthonormal_dct: bool = False
    standardised: bool = False
    split_by: Unit = "photo"
    checkpoint: Checkpoint = "last"
    held_out: Annotated[int, Field(ge=2)] = 5
    epochs: Annotated[int, Field(ge=1)] = 10
    patience: Annotated[int, Field(ge=1)] = 3
    learning_rate: Positive = 2e-3
    batch_size: Annotated[int, Field(ge=1)] = 32
    seed: Annotated[int, Field(ge=0)] = 0
    runs: Annotated[int, Field(ge=1)] = 100


class RungSettings(BaseModel):
    """All of it; the defaults are the paper's recipe with all its faults.

    Attributes:
        numbering: what is submitted as class_id: the "class_id" itself, or the species' place by
            "frequency", most photographed first (numbering.py).
        photos_read: of train: "all", or only the "jpg_of_inaturalist", whose names end in .jpg in just
            that case. The photos to be answered are read in full, as those of the official test set
            all end in .jpg.
        rescaled_twice: whether pixels are divided by 255 twice when the answers are made, though not when
            the features to train on are.
        one_photo: whether an observation's first photo alone answers for it.
        trainer: the paper's, or the package's own with what it is to choose from.
        rule: how probabilities become a species; None takes the rule that the trainer chose on folds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    numbering: Numbering = "frequency"
    photos_read: PhotosRead = "jpg_of_inaturalist"
    rescaled_twice: bool = True
    one_photo: bool = True
    trainer: PaperTrainer | TrainingSettings = PaperTrainer()
    rule: DecisionRule | None = "argmax"


class Rung(BaseModel):
    """A step of the ladder: its name, what it changes of the one before and why, and all its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    change: str
    settings: RungSettings

    @property
    def is_the_papers(self) -> bool:
        """Whether it is the paper's recipe, with or without its faults, and nothing was added yet."""
        trainer = self.settings.trainer
        return isinstance(trainer, PaperTrainer) and (trainer.features, trainer.standardised) == (
            PaperTrainer().features,
            PaperTrainer().standardised,
        )
