"""The jobs (DESIGN.md, section 6)."""

import dagster as dg

from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.vision.embedding import DCT, DINOV2, LAYERS

FEATURES = dg.AssetSelection.assets("raw_images", "image_table", DINOV2, DCT, LAYERS)


def _splits_in_one_run(first: str, last: str) -> dict[str, str]:
    """Tags by which a plain `dagster job execute` takes a range of splits in a single run."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


snakeclef = dg.define_asset_job(
    "snakeclef",
    selection=dg.AssetSelection.all(),
    tags=_splits_in_one_run(SPLITS[0], SPLITS[-1]),
    description="Everything, all splits, in one run: raw files to submission, report and pictures.",
)
features = dg.define_asset_job(
    "features",
    selection=FEATURES,
    description="One split from raw files to embeddings; the unit of backfills.",
)
train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.groups("classifier", "report"),
    description="The classifier, its report on val, and the pictures, from features that are there.",
)
predict = dg.define_asset_job(
    "predict",
    selection=FEATURES | dg.AssetSelection.assets("submission"),
    tags=_splits_in_one_run("test", "test"),
    description="The test split's features and the submission, with a classifier that is there.",
)

all_jobs = [snakeclef, features, train, predict]
