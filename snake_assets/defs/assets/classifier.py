"""From vectors to species: the classifier."""

from enum import StrEnum

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.dependencies import feature_tables, on_features
from snake_assets.defs.lib.metadata import data_version, markdown_table
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_features
from snake_assets.learning.settings import Positive, Recipe, Share
from snake_assets.learning.train import CLASSIFIER_VERSION, train_classifier
from snake_assets.snakeclef.metadata import VENOM_LIST, read_venom_list
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, file_digest

DEFAULT = Recipe()


class DecisionRule(StrEnum):
    """How probabilities become a species."""

    argmax = "argmax"
    track1 = "track1"
    track2 = "track2"


class ClassifierConfig(StepConfig):
    """How the classifier is trained; the defaults are the good ones."""

    strengths: list[Positive] = Field(
        default=list(DEFAULT.strengths),
        min_length=1,
        description="Inverse regularisation strengths of the head to choose among, above 0 each: C as in "
        "scikit-learn.",
    )
    shares: list[Share] = Field(
        default=list(DEFAULT.shares),
        min_length=1,
        description="Shares of the nearest photos' votes in the answer to choose among, 0 to below 1 each.",
    )
    rule: DecisionRule = Field(
        default=DecisionRule.argmax,
        description="argmax: the most probable species; track1 or track2: the species of least expected loss "
        "of that score. The validation report shows all three.",
    )
    epochs: int = Field(
        default=DEFAULT.epochs,
        ge=1,
        le=1000,
        description="Passes over the training photos, 1 to 1,000; small sets get 300 steps at least.",
    )
    folds: int = Field(
        default=DEFAULT.folds, ge=2, le=50, description="Folds of train, grouped by observation, 2 to 50."
    )
    seed: int = Field(
        default=DEFAULT.seed,
        ge=0,
        description="Seed of folds and training, 0 or more; the same seed, the same classifier.",
    )

    def recipe(self) -> Recipe:
        """The room's own settings."""
        return Recipe.model_validate(self.model_dump(mode="json"))


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

    One linear head on all blocks of the embeddings, blended with the votes of the nearest training photos.
    The head's regularisation and the votes' share are chosen on folds of train that never part an observation
    or two copies of a photo, exact or near; the table below shows all candidates. Written as
    model.safetensors and classifier.json. Scores are in percent, of observations held out on the folds. If it
    fails, the message says which species, feature or setting stands in the way.
    """
    tables = feature_tables(store, "train", crops)
    venom_list = raw_data.folder() / "metadata" / VENOM_LIST
    venomous = read_venom_list(venom_list)
    recipe: dict[str, Json] = {
        "version": CLASSIFIER_VERSION,
        "recipe": config.recipe().model_dump(mode="json"),
        "embeddings": {table.manifest.table: table.manifest.digest for table in tables},
        "venom_list": file_digest(venom_list),
    }
    folder = store.folder("species_classifier")
    if not is_current(folder, recipe):
        features = read_features(*tables)
        classifier = train_classifier(
            features, venomous, config.recipe(), features.fingerprint or "", context.log.info
        )
        with write_bundle(folder, recipe) as aside:
            classifier.save(aside)
    bundle = open_bundle(folder)
    classifier = SpeciesClassifier.load(bundle.inside)
    choice = classifier.choice
    candidates = [candidate.model_dump() for candidate in choice.candidates]
    return dg.MaterializeResult(
        metadata={
            "species": len(classifier.class_ids),
            "features": " + ".join(classifier.features),
            "strength": choice.best.strength,
            "share_of_the_nearest_photos": choice.best.share,
            "temperature": round(choice.temperature, 3),
            "decision_rule": classifier.rule,
            "observations_held_out": choice.held_out,
            "track1_on_folds": choice.best.track1,
            "f1_on_folds": choice.best.f1,
            "track1_on_folds_by_rule": choice.track1_by_rule,
            "candidates": markdown_table(list(candidates[0]), [list(one.values()) for one in candidates]),
            "folder": dg.MetadataValue.path(str(folder)),
            "bytes": bundle.bytes,
        },
        data_version=data_version(bundle.files),
    )
