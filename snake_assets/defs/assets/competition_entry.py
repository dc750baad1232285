"""What the code competition takes: a folder with a script that answers as the submission does."""

import dagster as dg

from snake_assets.defs.assets.classifier import FINAL_CLASSIFIER, final_classifier
from snake_assets.defs.assets.model_package import backbone_of
from snake_assets.defs.lib.metadata import data_version, markdown_table
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.identification.entry.build import SCRIPT, write_entry
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.snakeclef.layouts.official import OfficialLayout
from snake_assets.snakeclef.metadata import metadata_paths
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, file_digest
from snake_assets.storage.io import sizes
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.embedding.tables import DINOV2

# Counts as an input: raise it when the same classifier would give another entry.
ENTRY_VERSION = 1
ENTRY = "competition_entry"


@dg.asset(
    name=ENTRY,
    deps=[final_classifier],
    group_name="classifier",
    kinds={"python", "huggingface"},
    code_version=str(ENTRY_VERSION),
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def competition_entry(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store, backbone: BackboneSetting
) -> dg.MaterializeResult[None]:
    """A folder ready to push to the code competition, whose script.py answers as the submission does.

    The script, the backbone, final_classifier, and the metadata of the test split if the raw data has it; no
    photo of test is needed. `snake-assets entry check` runs it as the competition does. If it fails because
    the backbone is another than that of the embeddings, set SNAKE_BACKBONE to it, or embed again.
    """
    layout = raw_data.layout(store)
    there = layout.describes("test") and isinstance(layout, OfficialLayout)
    metadata = metadata_paths(layout.root, "test")[0] if there else None
    features = open_table(store.folder(DINOV2, "train"))
    trained = open_bundle(store.folder(FINAL_CLASSIFIER))
    recipe: dict[str, Json] = {
        "version": ENTRY_VERSION,
        "classifier": trained.digest,
        "features": dict(features.manifest.recipe),
        "metadata": file_digest(metadata) if metadata else None,
        "script": file_digest(SCRIPT),
    }
    folder = store.folder(ENTRY)
    if not is_current(folder, recipe):
        classifier = SpeciesClassifier.load(trained.inside)
        with write_bundle(folder, recipe) as aside:
            seen_by = backbone_of(features, store, backbone)
            write_entry(classifier, seen_by, metadata, aside)
    bundle = open_bundle(folder)
    bytes_of = sizes(bundle.inside)
    rows = [[name, bytes_of[name]] for name in sorted(bundle.files)]
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "bytes": bundle.bytes,
            "files": markdown_table(["file", "bytes"], rows),
            "check": f"snake-assets entry check {folder}",
        },
        data_version=data_version(bundle.files),
    )
