"""From vectors to species: the classifier and what it is worth."""

import json

import dagster as dg
from pydantic import Field

from snake_assets.assets.reporting import data_version, markdown_table, picture, some_of
from snake_assets.figures.confusion import venom_confusion_png
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_features
from snake_assets.learning.report import REPORT_VERSION, SCORES_FILE, judge, write_report
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.training import train_classifier
from snake_assets.resources import RawData, Store
from snake_assets.snakeclef.metadata import read_metadata
from snake_assets.snakeclef.observations import observation_order, observation_truth
from snake_assets.snakeclef.venom import VENOM_LIST, read_venom_list
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.tables import open_table
from snake_assets.vision.embedding import DCT, DINOV2

# Counts as an input: raise it when the same features would give another classifier.
CLASSIFIER_VERSION = 2
CANDIDATES_SHOWN = 12
SCORE_TITLES = {"track1": "Track 1", "track2": "Track 2", "f1": "macro F1", "accuracy": "accuracy"}
CONFUSION_FILE = "venomous_against_harmless.png"


class ClassifierConfig(dg.Config):
    """What the choice on folds of train runs through."""

    feature_sets: list[str] = Field(
        default=["cls", "cls+patch_mean", "cls+patch_mean+dct"],
        description="Feature sets to try: cls, patch_mean, dct, or several joined by '+'.",
    )
    folds: int = Field(default=5, ge=2, le=50, description="Folds of train, grouped by observation.")
    seed: int = Field(
        default=0, ge=0, description="Seed of folds and training; the same seed, the same classifier."
    )

    def settings(self) -> TrainingSettings:
        """The room's own settings; a wrong name is a validation error."""
        return TrainingSettings.model_validate(
            {
                "feature_sets": [names.split("+") for names in self.feature_sets],
                "folds": self.folds,
                "seed": self.seed,
            }
        )


def on_split(asset: str, *splits: str) -> dg.AssetDep:
    """A dependency on only some splits of an asset, by an asset that has no splits itself."""
    return dg.AssetDep(asset, partition_mapping=dg.SpecificPartitionsPartitionMapping(list(splits)))


@dg.asset(
    deps=[on_split(DINOV2, "train"), on_split(DCT, "train")],
    group_name="classifier",
    kinds={"pytorch", "safetensors"},
    code_version=str(CLASSIFIER_VERSION),
)
def species_classifier(
    context: dg.AssetExecutionContext, config: ClassifierConfig, raw_data: RawData, store: Store
) -> dg.MaterializeResult[None]:
    """A linear classifier of species on frozen embeddings, trained on train alone.

    Features, heads, temperature, pooling and decision rule are chosen on folds of train that never part an
    observation or two copies of a photo, exact or near; the table below shows the best candidates. Written as
    model.safetensors and classifier.json.
    """
    dinov2, dct = (open_table(store.folder(name, "train")) for name in (DINOV2, DCT))
    venom_list = raw_data.folder() / "metadata" / VENOM_LIST
    venomous = read_venom_list(venom_list)
    recipe: dict[str, Json] = {
        "version": CLASSIFIER_VERSION,
        "settings": config.settings().model_dump(mode="json"),
        "dinov2_embeddings": dinov2.manifest.digest,
        "dct_embeddings": dct.manifest.digest,
        "venom_list": file_digest(venom_list),
    }
    folder = store.folder("species_classifier")
    if not is_current(folder, recipe):
        features = read_features(dinov2, dct)
        classifier = train_classifier(
            features,
            venomous,
            config.settings(),
            features.fingerprint or "",
            context.log.info,
        )
        with write_bundle(folder, recipe) as aside:
            classifier.save(aside)
    bundle = open_bundle(folder)
    classifier = SpeciesClassifier.load(folder)
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
            "decision_rule": classifier.rule,
            "temperature": round(classifier.temperature, 3),
            "track1_on_folds": classifier.selection.scores.track1,
            "f1_on_folds": classifier.selection.scores.f1,
            "candidates": markdown_table(
                list(candidates[0]), [list(candidate.values()) for candidate in candidates]
            ),
            "folder": dg.MetadataValue.path(folder),
            "bytes": bundle.bytes,
        },
        data_version=data_version(bundle.files),
    )


@dg.asset(
    deps=[
        species_classifier,
        on_split("image_table", "val"),
        on_split(DINOV2, "val"),
        on_split(DCT, "val"),
    ],
    group_name="classifier",
    kinds={"python", "parquet"},
    code_version=str(REPORT_VERSION),
)
def validation_report(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store
) -> dg.MaterializeResult[None]:
    """The official scores on val, which nothing before this asset has seen, beside the chance level.

    Every observation of the metadata counts: one whose photos could not be read is answered by the safest
    species and named here. Written as predictions.parquet, scores.json and a picture.
    """
    data = raw_data.folder()
    venom_list = data / "metadata" / VENOM_LIST
    venomous = read_venom_list(venom_list)
    rows = read_metadata(data, "val", venomous)
    images, dinov2, dct = (open_table(store.folder(name, "val")) for name in ("image_table", DINOV2, DCT))
    order, truth = observation_order(rows, images), observation_truth(rows)
    classifier_bundle = open_bundle(store.folder("species_classifier"))
    recipe: dict[str, Json] = {
        "version": REPORT_VERSION,
        "classifier": classifier_bundle.digest,
        "image_table": images.manifest.digest,
        "dinov2_embeddings": dinov2.manifest.digest,
        "dct_embeddings": dct.manifest.digest,
        "venom_list": file_digest(venom_list),
        "truth": fingerprint(truth),
    }
    folder = store.folder("validation_report")
    if not is_current(folder, recipe):
        judgement = judge(
            SpeciesClassifier.load(classifier_bundle.folder),
            read_features(dinov2, dct),
            order,
            truth,
            venomous,
        )
        with write_bundle(folder, recipe) as aside:
            write_report(judgement, aside)
            (aside / CONFUSION_FILE).write_bytes(
                venom_confusion_png(judgement.venom_counts, judgement.venom_errors)
            )
    bundle = open_bundle(folder)
    scores = json.loads(bundle.path(SCORES_FILE).read_text())
    return dg.MaterializeResult(
        metadata={
            **{name: scores[name] for name in SCORE_TITLES},
            "scores": markdown_table(
                ["", "val", "chance"],
                [[title, scores[name], scores["chance"][name]] for name, title in SCORE_TITLES.items()],
            ),
            "rates": scores["rates"],
            "errors": scores["errors"],
            "observations": scores["observations"],
            "unreadable_observations": some_of(scores["unreadable_observations"]),
            "unknown_class_ids": some_of(scores["unknown_class_ids"]),
            "venomous_against_harmless": picture(
                bundle.path(CONFUSION_FILE).read_bytes(), "venomous against harmless"
            ),
            "folder": dg.MetadataValue.path(folder),
        },
        data_version=data_version(bundle.files),
    )
