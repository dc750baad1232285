"""How the classifier is tuned, as the launchpad offers it; the defaults are those of `TrainingSettings`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from snake_assets.learning.settings import (
    NotNegative,
    Positive,
    Share,
    Shrinkage,
    Smoothing,
    TrainingSettings,
    Whole,
)

DEFAULT = TrainingSettings()
AtLeastOne = Field(min_length=1)


class ClassWeighting(StrEnum):
    """What is done about unequal numbers of photos of species."""

    none = "none"
    balanced = "balanced"
    resampled = "resampled"
    logit_adjusted = "logit_adjusted"
    seesaw = "seesaw"


class Pooling(StrEnum):
    """How the photos of an observation become one answer."""

    mean = "mean"
    log_mean = "log_mean"
    entropy = "entropy"


class DecisionRule(StrEnum):
    """How probabilities become a species."""

    argmax = "argmax"
    track1 = "track1"
    track2 = "track2"


def _as_typed(names: Sequence[str]) -> Any:
    # The launchpad shows a default list of choices only where it is plain strings.
    return list(names)


class ClassifierTuning(dg.Config):
    """What the sweep runs through, and how its heads are trained.

    Every combination of the lists from `shrinkages` to `standardise` is a candidate: a run takes as much
    longer as there are more of them. A list of one value forces it.
    """

    shrinkages: Annotated[list[Shrinkage], AtLeastOne] = Field(
        default=list(DEFAULT.shrinkages),
        description="How far features are whitened, above 0 up to 1: 1 leaves them as standardised, smaller "
        "values whiten more.",
    )
    weight_decays: Annotated[list[NotNegative], AtLeastOne] = Field(
        default=list(DEFAULT.weight_decays),
        description="Weight decay per mean photo of 1,000, 0 or more: more decay, simpler heads.",
    )
    class_weightings: Annotated[list[ClassWeighting], AtLeastOne] = Field(
        default=_as_typed(DEFAULT.class_weightings),
        description="What is done about unequal numbers of photos: none; balanced (rare species weigh more); "
        "resampled (rare species are seen more often); logit_adjusted (the prior is taken out of the "
        "loss); seesaw (seesaw loss).",
    )
    learning_rates: Annotated[list[Positive], AtLeastOne] = Field(
        default=list(DEFAULT.learning_rates),
        description="Peak learning rate of the heads, above 0.",
    )
    label_smoothings: Annotated[list[Smoothing], AtLeastOne] = Field(
        default=list(DEFAULT.label_smoothings),
        description="Share of the target that is spread over all species, from 0 to below 1.",
    )
    standardise: Annotated[list[bool], AtLeastOne] = Field(
        default=list(DEFAULT.standardise),
        description="true: every feature is divided by its own standard deviation; false: all by one number.",
    )
    average: int = Field(
        default=DEFAULT.average,
        ge=1,
        le=100,
        description="How many of the best candidates are averaged at most, 1 to 100; 1 takes the best alone.",
    )
    near_duplicates: float | None = Field(
        default=DEFAULT.near_duplicates,
        gt=0,
        lt=1,
        description="Cosine of the centred CLS tokens, between 0 and 1, above which two photos are near "
        "copies and stay on one side of every fold. null: exact copies only.",
    )
    poolings: Annotated[list[Pooling], AtLeastOne] = Field(
        default=_as_typed(DEFAULT.poolings),
        description="Ways to pool an observation's photos: mean, log_mean, entropy (sure photos weigh more). "
        "The first stays unless another is clearly better on the folds.",
    )
    neighbours: list[Whole] = Field(
        default=list(DEFAULT.neighbours),
        description="How many nearest training photos vote, 1 or more each; an empty list asks none.",
    )
    vote_temperatures: list[Positive] = Field(
        default=list(DEFAULT.vote_temperatures),
        description="Temperatures of the votes, above 0, in units of cosine; an empty list asks no votes.",
    )
    vote_shrinkage: float = Field(
        default=DEFAULT.vote_shrinkage,
        gt=0,
        le=1,
        description="How far CLS tokens are whitened before they vote, above 0 up to 1; 1 is not at all.",
    )
    blends: list[Share] = Field(
        default=list(DEFAULT.blends),
        description="Share of the votes in a blend with the heads, between 0 and 1; an empty list: no blend.",
    )
    rules: Annotated[list[DecisionRule], AtLeastOne] = Field(
        default=_as_typed(DEFAULT.rules),
        description="Decision rules to choose among: argmax (the most probable species), track1 (least "
        "expected loss of the official score), track2 (least expected 1/2/5/2 cost). The first stays unless "
        "another has a clearly better Track 1 on the folds; a single one is forced.",
    )
    epochs: int = Field(
        default=DEFAULT.epochs,
        ge=1,
        le=1000,
        description="Passes over the training photos for each head, 1 to 1,000.",
    )
    minimum_steps: int = Field(
        default=DEFAULT.minimum_steps,
        ge=1,
        le=100_000,
        description="Steps of each head at least, 1 to 100,000, for sets so small that epochs are few steps.",
    )
    batch_size: int = Field(
        default=DEFAULT.batch_size,
        ge=1,
        le=1_000_000,
        description="Photos in one step of a head, 1 to 1,000,000.",
    )
    held_out_megabytes: int = Field(
        default=DEFAULT.held_out_megabytes,
        ge=1,
        le=1_000_000,
        description="Memory for the held-out logits of all candidates, in MiB, 1 to 1,000,000. Where they "
        "take more, fewer photos are held out. Lower it when the step is killed for memory.",
    )
