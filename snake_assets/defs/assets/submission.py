"""What is handed in."""

import json
from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.classifier import species_classifier
from snake_assets.defs.assets.dependencies import feature_tables, on_features
from snake_assets.defs.lib.metadata import SHOWN, column_schema, data_version, markdown_table, some_of
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_features, read_splits
from snake_assets.learning.submission import ORIGIN_FILE, SUBMISSION_FILE, write_submission
from snake_assets.learning.train import refit
from snake_assets.snakeclef.image_table import observation_order
from snake_assets.snakeclef.metadata import VENOM_LIST, read_metadata, read_venom_list
from snake_assets.snakeclef.submission import read_submission
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.preprocessing.regions import CROPS

# Counts as an input: raise it when the same classifier and features would give another submission.
SUBMISSION_VERSION = 3


class SubmissionConfig(StepConfig):
    """How the submission is made."""

    refit_on_train_and_val: bool = Field(
        default=True,
        description="Train the chosen recipe again on train and val together before predicting test: more "
        "photos, nothing chosen anew. Off, the submission is made by exactly the classifier that the "
        "validation report judged.",
    )


@dg.asset(
    deps=[
        species_classifier,
        *on_features("val", "test"),
    ],
    group_name="submission",
    kinds={"python", "csv"},
    code_version=str(SUBMISSION_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def submission(
    context: dg.AssetExecutionContext, config: SubmissionConfig, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """submission.csv: one row per test observation, in the order and spelling of the test metadata.

    An observation whose photos could all not be read is answered by the species of least expected cost
    under the training frequencies, and named below. origin.json beside it names what it was made
    from, and the classifier that answered (by default the chosen recipe, trained again on train and val) lies
    with it. If it fails because photos are new in the test metadata, materialize the test split's features
    first: the job predict does both.
    """
    if reason := raw_data.left_out("test"):
        context.log.warning(reason)
        return dg.MaterializeResult(metadata={"left_out": reason})
    data = raw_data.folder()
    venom_list = data / "metadata" / VENOM_LIST
    venomous = read_venom_list(venom_list)
    images = open_table(store.folder("image_table", "test"))
    order = observation_order(read_metadata(data, "test", venomous), images)
    refits = config.refit_on_train_and_val and not raw_data.left_out("val")
    splits = ("train", "val", "test") if refits else ("test",)
    tables = {split: feature_tables(store, split, crops) for split in splits}
    trained = open_bundle(store.folder("species_classifier"))
    recipe: dict[str, Json] = {
        "version": SUBMISSION_VERSION,
        "refit_on_train_and_val": refits,
        "classifier": trained.digest,
        "embeddings": {
            split: [table.manifest.digest for table in all_of] for split, all_of in tables.items()
        },
        "tables": {split: _digests(store, split, crops, all_of) for split, all_of in tables.items()},
        "venom_list": file_digest(venom_list),
        "observations": fingerprint(order),
    }
    folder = store.folder("submission")
    if not is_current(folder, recipe):
        classifier = SpeciesClassifier.load(trained.inside)
        if refits:
            labelled = read_splits([tables["train"], tables["val"]])
            classifier = refit(classifier, labelled, venomous)
        predictions = classifier.identify(read_features(*tables["test"]), order)
        with write_bundle(folder, recipe) as aside:
            write_submission(predictions, recipe, aside)
            classifier.save(aside)
    bundle = open_bundle(folder)
    answers = read_submission(bundle.path(SUBMISSION_FILE))
    origin = json.loads(bundle.path(ORIGIN_FILE).read_text())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(answers),
            **column_schema("submission", [("observation_id", "string"), ("class_id", "int")]),
            "file": dg.MetadataValue.path(str(bundle.shown(SUBMISSION_FILE))),
            "first_rows": markdown_table(["observation_id", "class_id"], list(answers.items())[:SHOWN]),
            "predicted_venomous": sum(venomous[class_id] for class_id in answers.values()),
            "species_predicted": len(set(answers.values())),
            "unreadable_observations": some_of(origin["unreadable_observations"]),
        },
        data_version=data_version(bundle.files),
    )


def _digests(store: Store, split: str, crops: Crops, features: Sequence[Table]) -> dict[str, Json]:
    """By name, what the split's tables hold: photos, crops unless they are off, and vectors."""
    photos = ("image_table",) if crops.checked() is CropMode.none else ("image_table", CROPS)
    manifests = [read_manifest(store.folder(name, split)) for name in photos]
    # A table of photos may have been removed for its space once its vectors were there.
    there = [manifest for manifest in manifests if manifest]
    return {manifest.table: manifest.digest for manifest in (*there, *(table.manifest for table in features))}
