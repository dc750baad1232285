"""The steps: the paper's recipe, then one fault mended at a time, then one addition at a time."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.feature_table import CROP_BLOCKS
from snake_assets.learning.settings import BlockName, Positive, Recipe

PAPER, OWN = "the paper's recipe", "the package's classifier"


class PaperTrainer(BaseModel):
    """The paper's trainer: a linear layer by Adam on small batches, with a part of train held out.

    The loss on the held-out part ends training: after `patience` epochs without a lower one. How well one
    run does is largely luck, so there are several, which differ in their split and batches alone.

    Attributes:
        features: the block that the layer sees.
        orthonormal_dct: whether the DCT block is scaled to an orthonormal transform, or left un-normalised.
        standardised: whether columns are brought to mean 0 and variance 1 first.
        split_by: what is dealt to the held-out part. Split by photo, it holds photos of observations that
            are trained on.
        checkpoint: which epoch's weights are submitted: the last one's, or those of least held-out loss.
        epochs: at most.
        patience: in epochs.
        learning_rate: of Adam, constant.
        runs: how many; each has its own seed, 0, 1, ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: BlockName = "dct"
    orthonormal_dct: bool = False
    standardised: bool = False
    split_by: Literal["photo", "observation"] = "photo"
    checkpoint: Literal["last", "best"] = "last"
    epochs: Annotated[int, Field(ge=1)] = 10
    patience: Annotated[int, Field(ge=1)] = 3
    learning_rate: Positive = 2e-3
    runs: Annotated[int, Field(ge=1)] = 100


class StepSettings(BaseModel):
    """All between the photos and their scores; the defaults are the paper's recipe with all its faults.

    Attributes:
        numbering: what is submitted as class_id: the "class_id" itself, or the species' place by
            "frequency", most photographed first (`numbered_by_frequency`).
        photos_read: of train: "all", or only the "jpg_of_inaturalist", whose names end in .jpg in just
            that case. The photos to be answered are read in full, as those of the official test set
            all end in .jpg.
        rescaled_twice: whether pixels are divided by 255 twice when the answers are made, though not when
            the features to train on are.
        one_photo: whether an observation's first photo alone answers for it.
        trainer: the paper's, or the package's own recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    numbering: Literal["frequency", "class_id"] = "frequency"
    photos_read: Literal["jpg_of_inaturalist", "all"] = "jpg_of_inaturalist"
    rescaled_twice: bool = True
    one_photo: bool = True
    trainer: PaperTrainer | Recipe = PaperTrainer()


class Step(BaseModel):
    """A step: its name, which says what it changes of the one before, and all its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    settings: StepSettings

    @property
    def is_the_papers(self) -> bool:
        """Whether it is the paper's recipe, with or without its faults, and nothing was added yet."""
        trainer = self.settings.trainer
        return isinstance(trainer, PaperTrainer) and trainer.features == "dct" and not trainer.standardised


def steps(own: Recipe, paper_runs: int) -> list[Step]:
    """All steps, each with one change to the one before.

    A step that would change nothing, because `own` does without it, is left out.

    Args:
        own: the recipe of the package's classifier, which is the last step.
        paper_runs: how often each step with the paper's trainer is run.
    """
    whole = tuple(name for name in own.blocks if name not in CROP_BLOCKS)
    plain = {"blocks": ("cls",), "strengths": own.strengths[-1:], "shares": (0.0,), "rule": "argmax"}
    # "trainer" holds changes to the trainer, or another one.
    changes: dict[str, Mapping[str, Any]] = {
        "class_id submitted, not its place by frequency": {"numbering": "class_id"},
        "pixels rescaled once at inference": {"rescaled_twice": False},
        "all training photos read": {"photos_read": "all"},
        "all photos of an observation": {"one_photo": False},
        "split by observation": {"trainer": {"split_by": "observation"}},
        "orthonormal DCT": {"trainer": {"orthonormal_dct": True}},
        "best checkpoint, not the last": {"trainer": {"checkpoint": "best"}},
        "CLS token in place of the DCT": {"trainer": {"features": "cls"}},
        "standardised features": {"trainer": {"standardised": True}},
        "trained on all of train, with weight decay": {"trainer": _updated(own, plain)},
        "weight decay chosen on folds": {"trainer": {"strengths": own.strengths}},
        "mean patch token beside it": {
            "trainer": {"blocks": [name for name in whole if name in ("cls", "patch_mean")]}
        },
        "earlier layers beside these": {"trainer": {"blocks": whole}},
        "crops beside the whole photos": {"trainer": {"blocks": own.blocks}},
        "votes of the nearest photos": {"trainer": {"shares": own.shares}},
        OWN: {"trainer": own},
    }
    found = [Step(name=PAPER, settings=StepSettings(trainer=PaperTrainer(runs=paper_runs)))]
    for name, updates in changes.items():
        before = found[-1].settings
        trainer = updates.get("trainer", {})
        if isinstance(trainer, Mapping):
            trainer = _updated(before.trainer, trainer)
        settings = _updated(before, {**updates, "trainer": trainer})
        if settings != before:
            found.append(Step(name=name, settings=settings))
    return found


Settings = TypeVar("Settings", bound=BaseModel)


def _updated(settings: Settings, updates: Mapping[str, Any]) -> Settings:
    # Validated anew, so that a setting that is no more is an error here and not a step without effect.
    return type(settings).model_validate({**dict(settings), **updates})
