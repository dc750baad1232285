"""What is tried, and how it is trained."""

from itertools import product
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.decisions import RULES, DecisionRule
from snake_assets.learning.heads import HeadRecipe, Optimisation, Precision
from snake_assets.learning.losses import ClassWeighting, HeadLoss
from snake_assets.learning.observations import POOLINGS, Pooling

BlockName = Literal[
    "cls",
    "patch_mean",
    "earlier_cls",
    "middle_mean",
    "dct",
    "crop_cls",
    "crop_patch_mean",
    "crop_earlier_cls",
    "crop_middle_mean",
    "crop_dct",
    "average_cls",
    "average_patch_mean",
    "average_earlier_cls",
    "average_middle_mean",
    "average_dct",
]
FeatureSet = Annotated[tuple[BlockName, ...], Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Shrinkage = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Smoothing = Annotated[float, Field(ge=0, lt=1)]
Whole = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]

# Photos at which a weight decay is per mean photo as it stands. With twice as many, half of it balances the
# same evidence, so that one sweep serves the folds, all of train, and sets of any size.
DECAY_PHOTOS = 1000


class Recipe(BaseModel):
    """One candidate: which features, how far they are whitened, how the head is regularised.

    `shrinkage` is that of the within-class scatter (scatter.py): 1 leaves features as standardised, smaller
    values whiten more. Without `standardise`, all columns are divided by one number instead of each by its
    own standard deviation. `weight_decay` is per mean photo of `DECAY_PHOTOS`. The rest is described at
    `HeadRecipe` and `HeadLoss`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: FeatureSet
    shrinkage: Shrinkage
    weight_decay: NotNegative
    class_weighting: ClassWeighting = "none"
    learning_rate: Positive = 0.05
    label_smoothing: Smoothing = 0.0
    standardise: bool = True

    def head(self, photos: int) -> HeadRecipe:
        """The part that a head is trained by, on so many photos."""
        loss = HeadLoss(self.class_weighting, self.label_smoothing)
        return HeadRecipe(self.weight_decay * DECAY_PHOTOS / photos, loss, self.learning_rate)

    @property
    def name(self) -> str:
        """The recipe in a few words, for logs and tables."""
        parts = ["+".join(self.features), f"shrinkage {self.shrinkage:g}", f"decay {self.weight_decay:g}"]
        if self.class_weighting != "none":
            parts.append(self.class_weighting)
        if self.label_smoothing:
            parts.append(f"smoothing {self.label_smoothing:g}")
        if not self.standardise:
            parts.append("not standardised")
        return ", ".join(parts)


class TrainingSettings(BaseModel):
    """All choices that a sweep runs through, and how its heads are trained.

    The candidates are every combination of the tuples up to `standardise`; the best `average` of them
    (selection.py) become one head. Feature sets with `crop_` (of the crop) and `average_` (the mean of whole
    photo and crop) are tried only where there are crops. Defaults were found on folds of some hundred photos.
    There, seesaw loss and label smoothing changed nothing, and heads on unstandardised features did better
    one by one but not in the average.

    Photos whose CLS tokens, less their mean, have a cosine above `near_duplicates` stay on one side of every
    fold; None looks for exact copies only. On top of the heads, the folds choose among `poolings` and among
    `rules`, of which the first is the plain way.

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
        ("crop_cls", "crop_patch_mean"),
        ("crop_cls", "crop_patch_mean", "crop_earlier_cls", "crop_middle_mean"),
        ("cls", "patch_mean", "crop_cls", "crop_patch_mean"),
        ("average_cls", "average_patch_mean"),
        ("average_cls", "average_patch_mean", "average_earlier_cls", "average_middle_mean"),
    )
    shrinkages: Annotated[tuple[Shrinkage, ...], Field(min_length=1)] = (1.0, 0.6, 0.3)
    weight_decays: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (0.03, 0.1, 0.3, 1.0)
    class_weightings: Annotated[tuple[ClassWeighting, ...], Field(min_length=1)] = ("none", "logit_adjusted")
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.05,)
    label_smoothings: Annotated[tuple[Smoothing, ...], Field(min_length=1)] = (0.0,)
    standardise: Annotated[tuple[bool, ...], Field(min_length=1)] = (True,)
    average: Annotated[int, Field(ge=1)] = 12
    folds: Annotated[int, Field(ge=2)] = 5
    near_duplicates: Annotated[float, Field(gt=0, lt=1)] | None = 0.99
    poolings: Annotated[tuple[Pooling, ...], Field(min_length=1)] = POOLINGS
    neighbours: tuple[Whole, ...] = (5, 10, 20, 50)
    vote_temperatures: tuple[Positive, ...] = (0.03, 0.07, 0.15)
    vote_shrinkage: Shrinkage = 0.4
    blends: tuple[Share, ...] = (0.2, 0.4)
    rules: Annotated[tuple[DecisionRule, ...], Field(min_length=1)] = RULES
    seed: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1)] = 3
    minimum_steps: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=1)] = 4096
    held_out_megabytes: Annotated[int, Field(ge=1)] = 2048
    device: str = "cpu"
    precision: Precision = "auto"

    def recipes(self, features: FeatureSet) -> list[Recipe]:
        """All candidates of one feature set, in the order of the tuples."""
        return [
            Recipe(
                features=features,
                shrinkage=shrinkage,
                weight_decay=decay,
                class_weighting=weighting,
                learning_rate=rate,
                label_smoothing=smoothing,
                standardise=standardise,
            )
            for standardise, shrinkage, decay, weighting, rate, smoothing in product(
                self.standardise,
                self.shrinkages,
                self.weight_decays,
                self.class_weightings,
                self.learning_rates,
                self.label_smoothings,
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
