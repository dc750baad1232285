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
        held_out: one photo in so many is held out.
        epochs: at most.
        patience: in epochs.
        learning_rate: of Adam, constant.
        batch_size: photos per step.
        runs: how many; each has its own seed, 0, 1, ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: BlockName = "dct"
    orthonormal_dct: bool = False
    standardised: bool = False
    split_by: Literal["photo", "observation"] = "photo"
    checkpoint: Literal["last", "best"] = "last"
    held_out: Annotated[int, Field(ge=2)] = 5
    epochs: Annotated[int, Field(ge=1)] = 10
    patience: Annotated[int, Field(ge=1)] = 3
    learning_rate: Positive = 2e-3
    batch_size: Annotated[int, Field(ge=1)] = 32
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
    """A step: its name, what it changes of the one before and why, and all its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    change: str
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
    faults = StepSettings(trainer=PaperTrainer(runs=paper_runs))
    found = [Step(name=PAPER, change="DCT features, trained and submitted with all faults", settings=faults)]
    for name, change, updates in [*_REPAIRS, *_additions(own)]:
        before = found[-1].settings
        trainer = updates.get("trainer", {})
        if isinstance(trainer, Mapping):
            trainer = _updated(before.trainer, trainer)
        settings = _updated(before, {**updates, "trainer": trainer})
        if settings != before:
            found.append(Step(name=name, change=change, settings=settings))
    return found


_Change = tuple[str, str, Mapping[str, Any]]
# "trainer" holds changes to the trainer, or another one.
_REPAIRS: list[_Change] = [
    (
        "class_id submitted",
        "species are submitted by their class_id, not by their place in the order of frequency",
        {"numbering": "class_id"},
    ),
    (
        "pixels rescaled once",
        "at inference pixels are divided by 255 once, as for training, not twice",
        {"rescaled_twice": False},
    ),
    (
        "all training photos read",
        "extensions in any case and HerpMapper's photos are read, not *.jpg of iNaturalist alone",
        {"photos_read": "all"},
    ),
    (
        "all photos of an observation",
        "the probabilities of all its photos are averaged, instead of the first photo deciding",
        {"one_photo": False},
    ),
    (
        "split by observation",
        "no observation lies on both sides of the trainer's own split",
        {"trainer": {"split_by": "observation"}},
    ),
    ("orthonormal DCT", "the DCT is scaled to an orthonormal one", {"trainer": {"orthonormal_dct": True}}),
    (
        "best checkpoint",
        "the epoch of least held-out loss is submitted, not the last one",
        {"trainer": {"checkpoint": "best"}},
    ),
]


def _additions(own: Recipe) -> list[_Change]:
    whole = tuple(name for name in own.blocks if name not in CROP_BLOCKS)
    plain = {"blocks": ("cls",), "strengths": own.strengths[-1:], "shares": (0.0,), "rule": "argmax"}
    return [
        ("CLS token", "the CLS token takes the place of the DCT", {"trainer": {"features": "cls"}}),
        ("standardised features", "columns have mean 0 and variance 1", {"trainer": {"standardised": True}}),
        (
            "trained on all of train",
            "nothing is held back: large batches, a falling learning rate and a weight decay",
            {"trainer": _updated(own, plain)},
        ),
        (
            "weight decay chosen on folds",
            f"out of {len(own.strengths)}, by the log-loss of held-out observations",
            {"trainer": {"strengths": own.strengths}},
        ),
        (
            "mean patch token",
            "beside the CLS token",
            {"trainer": {"blocks": [name for name in whole if name in ("cls", "patch_mean")]}},
        ),
        ("earlier layers", "their tokens beside these", {"trainer": {"blocks": whole}}),
        ("crops", "the same blocks of the part with the snake", {"trainer": {"blocks": own.blocks}}),
        (
            "nearest photos",
            "their votes are blended in, with a share that is chosen on folds",
            {"trainer": {"shares": own.shares}},
        ),
        (OWN, f"decided by {own.rule}", {"trainer": own}),
    ]


Settings = TypeVar("Settings", bound=BaseModel)


def _updated(settings: Settings, updates: Mapping[str, Any]) -> Settings:
    # Validated anew, so that a setting that is no more is an error here and not a step without effect.
    return type(settings).model_validate({**dict(settings), **updates})
