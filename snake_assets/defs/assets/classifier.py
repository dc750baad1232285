"""From vectors to species: the classifier."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import dagster as dg
from pydantic import Field, field_validator

from snake_assets.defs.assets.dependencies import feature_tables, on_features
from snake_assets.defs.lib.config import StepConfig
from snake_assets.defs.lib.metadata import data_version, markdown_table
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_features, read_places
from snake_assets.learning.settings import (
    NotNegative,
    Positive,
    Share,
    Shrinkage,
    Smoothing,
    TrainingSettings,
    Whole,
)
from snake_assets.learning.training import train_classifier
from snake_assets.snakeclef.metadata import VENOM_LIST, read_venom_list
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.tables.table import open_table

# How the classifier is tuned, as the launchpad offers it; the defaults are those of `TrainingSettings`.


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


class ClassifierTuning(StepConfig):
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


# Counts as an input: raise it when the same features would give another classifier.
CLASSIFIER_VERSION = 4
CANDIDATES_SHOWN = 12


class ClassifierConfig(ClassifierTuning):
    """What the choice on folds of train runs through."""

    feature_sets: list[str] = Field(
        default=["+".join(names) for names in TrainingSettings().feature_sets],
        description="Feature sets to try: cls, patch_mean, dct, earlier_cls, middle_mean, or several joined "
        "by '+'; with crop_ before the name of the crop, with average_ the mean of whole photo and crop. A "
        "set of which the embeddings lack a part is passed over.",
    )
    folds: int = Field(default=5, ge=2, le=50, description="Folds of train, grouped by observation, 2 to 50.")
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of folds and training, 0 or more; the same seed, the same classifier.",
    )

    @field_validator("feature_sets")
    @classmethod
    def known(cls, sets: list[str]) -> list[str]:
        """The sets as they are. Raises ValueError for none, or one with a name that is no feature."""
        TrainingSettings.model_validate({"feature_sets": [names.split("+") for names in sets]})
        return sets

    def settings(self) -> TrainingSettings:
        """The room's own settings."""
        return TrainingSettings.model_validate(
            self.model_dump(mode="json") | {"feature_sets": [names.split("+") for names in self.feature_sets]}
        )


@dg.asset(
    deps=on_features("train"),
    group_name="classifier",
    kinds={"pytorch", "safetensors"},
    code_version=str(CLASSIFIER_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def species_classifier(
    context: dg.AssetExecutionContext, config: ClassifierConfig, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """A classifier of species on frozen embeddings, trained on train alone.

    Features, heads, temperature, pooling, whether votes of the nearest photos are blended in, and the
    decision rule are chosen on folds of train that never part an observation or two copies of a photo, exact
    or near; the table below shows the best candidates. Written as model.safetensors and classifier.json.
    Scores are in percent, of observations held out on the folds. If it fails, the message says which species,
    feature or setting stands in the way; if it is killed for memory, lower held_out_megabytes in the
    launchpad.
    """
    tables = feature_tables(store, "train", crops)
    places = read_places(open_table(store.folder("image_table", "train")))
    venom_list = raw_data.folder() / "metadata" / VENOM_LIST
    venomous = read_venom_list(venom_list)
    recipe: dict[str, Json] = {
        "version": CLASSIFIER_VERSION,
        "settings": config.settings().model_dump(mode="json"),
        "embeddings": {table.manifest.table: table.manifest.digest for table in tables},
        "venom_list": file_digest(venom_list),
        "places": fingerprint(places),
    }
    folder = store.folder("species_classifier")
    if not is_current(folder, recipe):
        features = read_features(*tables)
        classifier = train_classifier(
            features,
            venomous,
            config.settings(),
            features.fingerprint or "",
            context.log.info,
            places,
        )
        with write_bundle(folder, recipe) as aside:
            classifier.save(aside)
    bundle = open_bundle(folder)
    classifier = SpeciesClassifier.load(bundle.inside)
    candidates = classifier.selection.rows()[:CANDIDATES_SHOWN]
    return dg.MaterializeResult(
        metadata={
            "species": len(classifier.class_ids),
            "chosen": classifier.selection.winner.recipe.name,
            "heads_averaged": len(classifier.selection.members),
            "observations_held_out": classifier.selection.held_out,
            "folds": len(classifier.selection.scores.fold_track1),
            "why": classifier.selection.reason,
            "pooling": classifier.pooling,
            "blended": classifier.selection.votes.blend.name
            if classifier.selection.votes.blend and classifier.selection.votes.taken
            else "no: the heads answer by themselves",
            "location_prior_helps_on_folds": classifier.selection.location_helps,
            "decision_rule": classifier.rule,
            "temperature": round(classifier.temperature, 3),
            "track1_on_folds": classifier.selection.scores.track1,
            "f1_on_folds": classifier.selection.scores.f1,
            "candidates": markdown_table(
                list(candidates[0]), [list(candidate.values()) for candidate in candidates]
            ),
            "folder": dg.MetadataValue.path(str(folder)),
            "bytes": bundle.bytes,
        },
        data_version=data_version(bundle.files),
    )
