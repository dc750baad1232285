"""From vectors to species: the classifier."""

import dagster as dg
from pydantic import Field, field_validator

from snake_assets.assets.classifier_tuning import ClassifierTuning
from snake_assets.assets.faults import TRY_AGAIN, retries_only_what_passes
from snake_assets.assets.feature_tables import feature_tables, on_features, on_split
from snake_assets.assets.launchpad import config_of, launchpad
from snake_assets.assets.reporting import data_version, markdown_table
from snake_assets.finder_resources import Crops
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_features, read_places
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.training import train_classifier
from snake_assets.place_resources import RawData, Store
from snake_assets.snakeclef.venom import VENOM_LIST, read_venom_list
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.tables import open_table

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
    deps=[on_split("image_table", "train"), *on_features("train")],
    group_name="classifier",
    kinds={"pytorch", "safetensors"},
    code_version=str(CLASSIFIER_VERSION),
    config_schema=launchpad(ClassifierConfig),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def species_classifier(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """A classifier of species on frozen embeddings, trained on train alone.

    Features, heads, temperature, pooling, whether votes of the nearest photos are blended in, and the
    decision rule are chosen on folds of train that never part an observation or two copies of a photo, exact
    or near; the table below shows the best candidates. Written as model.safetensors and classifier.json.
    Scores are in percent, of observations held out on the folds. If it fails, the message says which species,
    feature or setting stands in the way; if it is killed for memory, lower held_out_megabytes in the
    launchpad.
    """
    config = config_of(context, ClassifierConfig)
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
