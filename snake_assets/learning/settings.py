"""What is tried, and how it is trained."""

from itertools import product
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.heads import ClassWeighting, HeadRecipe, Optimisation
from snake_assets.learning.observations import POOLINGS, Pooling

BlockName = Literal["cls", "patch_mean", "earlier_cls", "middle_mean", "dct"]
FeatureSet = Annotated[tuple[BlockName, ...], Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Shrinkage = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Recipe(BaseModel):
    """One candidate: which features, how far they are whitened, how the head is regularised.

    `shrinkage` is that of the within-class scatter (standardisation.py): 1 leaves features as
    standardised, smaller values whiten more. The rest is described at `HeadRecipe`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: FeatureSet
    shrinkage: Shrinkage
    weight_decay: NotNegative
    class_weighting: ClassWeighting = "none"
    learning_rate: Positive = 0.05

    @property
    def head(self) -> HeadRecipe:
        """The part that a head is trained by."""
        return HeadRecipe(self.weight_decay, self.class_weighting, self.learning_rate)

    @property
    def name(self) -> str:
        """The recipe in a few words, for logs and tables."""
        weighting = "" if self.class_weighting == "none" else f", {self.class_weighting}"
        return (
            f"{'+'.join(self.features)}, shrinkage {self.shrinkage:g}, decay {self.weight_decay:g}{weighting}"
        )


class TrainingSettings(BaseModel):
    """All choices that a sweep runs through, and how its heads are trained.

    The candidates are every combination of the five tuples; the best `average` of them (selection.py)
    become one head. Defaults were found on folds of some hundred photos; `weight_decays` are per mean
    photo, so more photos ask for less.

    Photos whose CLS tokens, less their mean, have a cosine above `near_duplicates` stay on one side of every
    fold; None looks for exact copies only. On top of the heads, the folds choose among `poolings`, of which
    the first is the plain way.

    Beside the heads, the `neighbours` nearest training photos and each species' mean photo are tried as
    classifiers, at every vote temperature (references.py), in CLS tokens whitened with `vote_shrinkage`; the
    heads are blended with the votes, at one of `blends` as the votes' share, where that is clearly better.
    Empty tuples try nothing.

    The held-out logits of all candidates are in memory until the choice, photos x species x 4 bytes each.
    Where they would take more than `held_out_megabytes`, fewer photos are held out (folds.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_sets: Annotated[tuple[FeatureSet, ...], Field(min_length=1)] = (
        ("cls",),
        ("cls", "patch_mean"),
        ("cls", "patch_mean", "dct"),
        ("cls", "patch_mean", "earlier_cls"),
        ("cls", "patch_mean", "earlier_cls", "middle_mean"),
    )
    shrinkages: Annotated[tuple[Shrinkage, ...], Field(min_length=1)] = (1.0, 0.6, 0.3)
    weight_decays: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (0.03, 0.1, 0.3, 1.0)
    class_weightings: Annotated[tuple[ClassWeighting, ...], Field(min_length=1)] = ("none", "logit_adjusted")
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.05,)
    average: Annotated[int, Field(ge=1)] = 12
    folds: Annotated[int, Field(ge=2)] = 5
    near_duplicates: Annotated[float, Field(gt=0, lt=1)] | None = 0.99
    poolings: Annotated[tuple[Pooling, ...], Field(min_length=1)] = POOLINGS
    neighbours: tuple[Whole, ...] = (5, 10, 20, 50)
    vote_temperatures: tuple[Positive, ...] = (0.03, 0.07, 0.15)
    vote_shrinkage: Shrinkage = 0.4
    blends: tuple[Share, ...] = (0.2, 0.4)
    seed: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1)] = 10
    minimum_steps: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=1)] = 4096
    held_out_megabytes: Annotated[int, Field(ge=1)] = 2048
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"

    def recipes(self, features: FeatureSet) -> list[Recipe]:
        """All candidates of one feature set, in the order of the tuples."""
        return [
            Recipe(
                features=features,
                shrinkage=shrinkage,
                weight_decay=decay,
                class_weighting=weighting,
                learning_rate=rate,
            )
            for shrinkage, decay, weighting, rate in product(
                self.shrinkages, self.weight_decays, self.class_weightings, self.learning_rates
            )
        ]

    def most_held_out(self, feature_sets: int, species: int) -> int:
        """Photos that can be held out within `held_out_megabytes`."""
        recipes = feature_sets * len(self.recipes(self.feature_sets[0]))
        # One more for their average.
        return (self.held_out_megabytes << 20) // (4 * species * (recipes + 1))

    @property
    def optimisation(self) -> Optimisation:
        """How heads are trained."""
        return Optimisation(
            self.epochs, self.minimum_steps, self.batch_size, self.seed, self.device, self.precision
        )
