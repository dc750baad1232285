"""What is handed in."""

import json
from collections.abc import Sequence

import dagster as dg

from snake_assets.defs.assets.classifier import FINAL_CLASSIFIER, final_classifier
from snake_assets.defs.assets.dependencies import feature_tables, on_features
from snake_assets.defs.lib.metadata import SHOWN, column_schema, data_version, markdown_table, some_of
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.rules import known_venom
from snake_assets.learning.reading import read_splits
from snake_assets.snakeclef.image_table import observation_order
from snake_assets.snakeclef.submission import SUBMISSION_FILE, read_submission, submission_csv
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.preprocessing.regions import CROPS

# Counts as an input: raise it when the same classifier and features would give another submission.
SUBMISSION_VERSION = 4
ORIGIN_FILE = "origin.json"


@dg.asset(
    deps=[final_classifier, *on_features("test")],
    group_name="classifier",
    kinds={"python", "csv"},
    code_version=str(SUBMISSION_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def submission(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """submission.csv: one row per test observation, in the order and spelling of the test metadata.

    An observation whose photos could all not be read is answered by the species of least expected cost
    under the training frequencies, and named below. origin.json beside it names what it was made from. It
    takes final_classifier and the test split, nothing else. If it fails because photos are new in the test
    metadata, materialize the test split's features first: the job predict does both.
    """
    source = raw_data.source(store)
    if reason := raw_data.left_out("test", store, source):
        context.log.warning(reason)
        return dg.MaterializeResult(metadata={"left_out": reason})
    layout = raw_data.layout(store, source)
    venomous = layout.venom()
    images = open_table(store.folder("image_table", "test"))
    order = observation_order(layout.rows("test"), images)
    tables = feature_tables(store, "test", crops)
    trained = open_bundle(store.folder(FINAL_CLASSIFIER))
    recipe: dict[str, Json] = {
        "version": SUBMISSION_VERSION,
        "classifier": trained.digest,
        "embeddings": [table.manifest.digest for table in tables],
        "tables": _digests(store, crops, tables),
        "observations": fingerprint(order),
    }
    folder = store.folder("submission")
    if not is_current(folder, recipe):
        found = SpeciesClassifier.load(trained.inside).identify(read_splits(tables), order)
        answers = dict(zip(order, found.class_id.tolist(), strict=True))
        blind = [name for name, photos in zip(order, found.photos, strict=True) if photos == 0]
        origin = {"made_from": recipe, "observations": len(order), "unreadable_observations": blind}
        with write_bundle(folder, recipe) as aside:
            (aside / SUBMISSION_FILE).write_text(submission_csv(answers), encoding="utf-8")
            (aside / ORIGIN_FILE).write_text(json.dumps(origin, indent=1))
    bundle = open_bundle(folder)
    answers = read_submission(bundle.path(SUBMISSION_FILE))
    known = known_venom(answers.values(), venomous)
    origin = json.loads(bundle.path(ORIGIN_FILE).read_text())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(answers),
            **column_schema("submission", [("observation_id", "string"), ("class_id", "int")]),
            "file": dg.MetadataValue.path(str(bundle.shown(SUBMISSION_FILE))),
            "first_rows": markdown_table(["observation_id", "class_id"], list(answers.items())[:SHOWN]),
            **({"predicted_venomous": sum(known[one] for one in answers.values())} if known else {}),
            "species_predicted": len(set(answers.values())),
            "unreadable_observations": some_of(origin["unreadable_observations"]),
        },
        data_version=data_version(bundle.files),
    )


def _digests(store: Store, crops: Crops, features: Sequence[Table]) -> dict[str, Json]:
    """By name, what the test split's tables hold: photos, crops unless they are off, and vectors."""
    photos = ("image_table",) if crops.checked() is CropMode.none else ("image_table", CROPS)
    manifests = [read_manifest(store.folder(name, "test")) for name in photos]
    # A table of photos may have been removed for its space once its vectors were there.
    there = [manifest for manifest in manifests if manifest]
    return {manifest.table: manifest.digest for manifest in (*there, *(table.manifest for table in features))}
