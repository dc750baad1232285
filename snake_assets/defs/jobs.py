"""The jobs (DESIGN.md, section 6)."""

import dagster as dg

from snake_assets.defs.assets.classifier import PREDICT
from snake_assets.defs.resources.backbone import FINETUNED_BACKBONE
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, DCT, DINOV2
from snake_assets.vision.preprocessing.regions import CROPS

FEATURES = dg.AssetSelection.assets("raw_images", "image_table", CROPS, DINOV2, DCT, CROP_EMBEDDINGS)
MEND_AND_RUN_AGAIN = (
    "If it fails, open the failed step in the run: its message says what is wrong, where, and what to do. "
    "Then run it again; what is done is kept."
)
# Explains; the submission does not need it.
ABLATION = dg.AssetSelection.assets("ablation_study")
# Made from boxes that a person drew, and only then a setting of the others.
DETECTOR = dg.AssetSelection.assets("snake_detector")
# A backbone of our own, which the others take where SNAKE_BACKBONE says so.
FINETUNE = dg.AssetSelection.assets(FINETUNED_BACKBONE)
# What answers elsewhere; neither report nor submission needs it.
PACKAGE = dg.AssetSelection.assets("model_package")
ENTRY = dg.AssetSelection.assets("competition_entry")
# Of an inbox, batch by batch.
IDENTIFY = dg.AssetSelection.assets("identifications")


def _splits_in_one_run(first: str, last: str) -> dict[str, str]:
    """Tags by which a plain `dagster job execute` takes a range of splits in a single run."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


snakeclef = dg.define_asset_job(
    "snakeclef",
    selection=dg.AssetSelection.all() - ABLATION - DETECTOR - FINETUNE - PACKAGE - ENTRY - IDENTIFY,
    tags=_splits_in_one_run(SPLITS[0], SPLITS[-1]),
    description="All splits in one run: raw files to submission, report and pictures. All but the "
    "ablation, the detector, the fine-tuning, the package, the entry and the inbox. " + MEND_AND_RUN_AGAIN,
)
features = dg.define_asset_job(
    "features",
    selection=FEATURES,
    description="One split from raw files to embeddings; the unit of backfills. " + MEND_AND_RUN_AGAIN,
)
train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.groups("classifier", "report") - ABLATION,
    description="The classifiers, the report on val, and the pictures, from features that are there. If it "
    "fails because a table is not there, run features for the split that the message names, then this again.",
)
predict = dg.define_asset_job(
    PREDICT,
    selection=FEATURES | dg.AssetSelection.assets("submission"),
    tags=_splits_in_one_run("test", "test"),
    description="The test split's features and the submission, with the classifier that is there. Where none "
    "is, or one of another backbone or view, it fails before any photo is embedded: run train first, or set "
    "what the message names.",
)
ablation = dg.define_asset_job(
    "ablation",
    selection=ABLATION,
    description="Why the paper scored at chance, and what each step to our classifier is worth; from "
    "features and a classifier that are there. If it fails because one is missing, run features and train "
    "first.",
)
detector = dg.define_asset_job(
    "detector",
    selection=DETECTOR,
    description="A YOLO detector of snakes of our own, trained on boxes that a person drew. If it fails "
    "because there are none, set SNAKE_BOXES; weights to start from are set by `start` of snake_detector.",
)
finetune = dg.define_asset_job(
    "finetune",
    selection=FINETUNE,
    description="The backbone fine-tuned on photos of train, from image_table and embeddings that are there; "
    "SNAKE_BACKBONE=finetuned takes it. If it fails because these are missing or of another backbone, run "
    "features for train first. Killed, run it again: it goes on from its last checkpoint.",
)
package = dg.define_asset_job(
    "package",
    selection=PACKAGE,
    description="The trained model as a folder for `snake-assets predict`, here or on another machine; from "
    "features, a classifier and a report that are there. If it fails because one is missing, run features "
    "and train first.",
)
entry = dg.define_asset_job(
    "entry",
    selection=ENTRY,
    description="A folder for the code competition, whose script answers as the submission does, without "
    "network; from a classifier that is there. If it fails because there is none, run train first.",
)
identify = dg.define_asset_job(
    "identify",
    selection=IDENTIFY,
    description="The answers to a batch of photos out of the inbox, with the package that is there; the "
    "sensor new_photos asks for it. If it fails because there is no package, run the job package first.",
)

all_jobs = [snakeclef, features, train, predict, ablation, detector, finetune, package, entry, identify]
