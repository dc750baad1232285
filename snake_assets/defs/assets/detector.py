"""A detector of our own: trained on boxes that a person drew, judged on photos that it has not seen."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from snake_assets.defs.lib.metadata import data_version, markdown_table, picture, progress, some_of
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.finder import DetectorTraining
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.detection.box_files import BoxFiles, hold_out, read_box_files
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.detection.training import (
    PICTURES,
    TRAINING_VERSION,
    UNTRAINED,
    WEIGHTS_FILE,
    DetectorRecipe,
    train_detector,
    training_recipe,
)
from snake_assets.plots.photo_sheets import thumbnail
from snake_assets.storage.bundles import Bundle, is_current, open_bundle, write_bundle
from snake_assets.storage.paths import AnyPath

OFF = (
    "off: there are no boxes to train on. Set SNAKE_BOXES to a folder with photos and their boxes (YOLO "
    "text, COCO JSON, Pascal VOC or CVAT XML); docs/detector.md tells more."
)
SCORES_FILE = "scores.json"
FIGURES = ("map50", "map50_95", "precision", "recall", "confidence")
# Pixels a side, and bytes: the event log keeps copies.
SHOWN = (720, 48_000)


class DetectorConfig(StepConfig):
    """How the detector is trained, and on how many photos it is judged."""

    start: str | None = Field(
        default=None,
        description="Weights that the training starts from: a .pt file of a YOLO detector, or a folder with "
        f"one. Default: {UNTRAINED} that has never seen a photo, and needs thousands.",
    )
    start_sha256: str | None = Field(
        default=None,
        description="SHA-256 that these must have, 64 hex digits; others are refused before anything of them "
        "is loaded. Default: no pin.",
    )
    epochs: int = Field(
        default=DetectorRecipe.epochs, ge=1, le=10_000, description="Passes over the photos, 1 to 10,000."
    )
    image_size: int = Field(
        default=DetectorRecipe.image_size,
        ge=32,
        le=4096,
        multiple_of=32,
        description="The longer side that photos are scaled to, 32 to 4,096 pixels in steps of 32; "
        "yolo_crops then does the same.",
    )
    batch: int = Field(
        default=DetectorRecipe.batch, ge=1, le=4096, description="Photos in a step, 1 to 4,096."
    )
    learning_rate: float = Field(
        default=DetectorRecipe.learning_rate,
        gt=0,
        lt=1,
        description="Of AdamW at its highest, above 0 and below 1.",
    )
    frozen_layers: int = Field(
        default=DetectorRecipe.frozen_layers,
        ge=0,
        le=100,
        description="Layers, from the first on, that stay as they are, 0 to 100; 10 is the backbone of "
        "YOLOv8. Set 0 to train from nothing.",
    )
    seed: int = Field(
        default=DetectorRecipe.seed,
        ge=0,
        description="Seed of what is held out and of the training, 0 or more.",
    )
    held_out: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the photos that the detector is judged on and never learns from, above 0 and "
        "below 1. Folders train and val (or valid, test) decide that themselves.",
    )


@dg.asset(
    group_name="detector",
    kinds={"pytorch", "yolo"},
    code_version=str(TRAINING_VERSION),
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def snake_detector(
    context: dg.AssetExecutionContext,
    config: DetectorConfig,
    raw_data: RawData,
    store: Store,
    detector_training: DetectorTraining,
) -> dg.MaterializeResult[None]:
    """A YOLO detector of snakes, trained on boxes that a person drew (SNAKE_BOXES); off without them.

    Judged on photos of SNAKE_BOXES that are held out: mAP50 and mAP50-95, beside the weights that it started
    from, whose every find counts as a snake. Exact copies of a photo stay on one side. Not part of the job
    snakeclef: run the job detector, then set SNAKE_DETECTOR to what it wrote. If it fails, the message says
    which setting is missing or which file and line is wrong; a training that was killed begins anew.
    """
    boxes_folder = detector_training.boxes_folder()
    if boxes_folder is None:
        context.log.warning(f"The detector is {OFF}")
        return dg.MaterializeResult(metadata={"detector": OFF})
    start = (
        open_weights(config.start, config.start_sha256, raw_data.source(store).folder)
        if config.start
        else None
    )
    if start:
        context.log.info(f"starting from {start.path}, SHA-256 {start.sha256}")
    else:
        context.log.warning(
            f"Starting from {UNTRAINED}, which has never seen a photo and takes thousands to learn anything: "
            "set `start` to weights."
        )
    boxes = read_box_files(boxes_folder)
    settings = DetectorRecipe(**config.model_dump(include=set(DetectorRecipe.__dataclass_fields__)))
    recipe = {**training_recipe(start, settings), "boxes": boxes.digest, "held_out": config.held_out}
    folder = store.folder("snake_detector")
    if not is_current(folder, recipe):
        photos = hold_out(boxes.photos, config.held_out, config.seed)
        device = detector_training.resolved_device()
        with (
            write_bundle(folder, recipe) as aside,
            progress(context, "train the detector", "epochs") as report,
        ):
            scores = train_detector(photos, start, settings, aside, device, report)
            counts = {
                "photos_to_learn_from": len(photos.training),
                "photos_held_out": len(photos.held_out),
                "left_out": [photo.name for photo in photos.left_out],
            }
            (aside / SCORES_FILE).write_text(json.dumps({**scores, **counts}, indent=1))
    bundle = open_bundle(folder)
    context.add_asset_metadata(
        {
            Path(file).stem: picture(small, shows, "jpeg")
            for file, shows in PICTURES.items()
            if file in bundle.files and (small := thumbnail(bundle.path(file).read_bytes(), *SHOWN))
        }
    )
    return dg.MaterializeResult(
        metadata=_shown(bundle, boxes, start.path.name if start else UNTRAINED),
        data_version=data_version(bundle.files),
    )


def _shown(bundle: Bundle, boxes: BoxFiles, start: str) -> dict[str, Any]:
    scores = json.loads(bundle.path(SCORES_FILE).read_text())
    judged = {"this detector": scores["detector"], f"{start}, any find": scores["start"]}
    rows = [[name, *(told[figure] for figure in FIGURES)] for name, told in judged.items() if told]
    return {
        "map50": scores["detector"]["map50"],
        "map50_95": scores["detector"]["map50_95"],
        "map50_of_the_start": scores["start"]["map50"] if scores["start"] else "none: it was untrained",
        "scores": markdown_table(["on photos held out", *FIGURES], rows),
        "starts_from": start,
        "photos_to_learn_from": scores["photos_to_learn_from"],
        "photos_held_out": scores["photos_held_out"],
        "left_out": some_of(scores["left_out"]),
        "photos_without_a_box": some_of([photo.name for photo in boxes.photos if not len(photo.boxes)]),
        "files_not_read": some_of(boxes.not_read),
        "boxes_of_class": markdown_table(["class", "boxes"], list(boxes.classes.items())),
        "sha256": scores["sha256"],
        "to_use_it": dg.MetadataValue.md(_use(bundle.shown(WEIGHTS_FILE))),
        "folder": dg.MetadataValue.path(str(bundle.folder)),
        "bytes": bundle.bytes,
    }


def _use(weights: AnyPath) -> str:
    fetched = weights if isinstance(weights, Path) else WEIGHTS_FILE
    fetch = "" if isinstance(weights, Path) else f"gcloud storage cp {weights} {fetched}\n"
    return f"```\n{fetch}SNAKE_CROPS=yolo SNAKE_DETECTOR={fetched}\n```"
