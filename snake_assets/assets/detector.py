"""A detector of our own: trained on boxes that a person drew, judged on photos that it has not seen."""

import json
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from snake_assets.assets.faults import TRY_AGAIN, retries_only_what_passes
from snake_assets.assets.launchpad import config_of, launchpad
from snake_assets.assets.progress import progress
from snake_assets.assets.reporting import data_version, markdown_table, picture, some_of
from snake_assets.detection.box_files import BoxFiles, read_box_files
from snake_assets.detection.making import make_detector, making_recipe
from snake_assets.detection.quiet import quiet_ultralytics
from snake_assets.detection.recipe import TRAINING_VERSION, DetectorRecipe
from snake_assets.detection.sides import HELD_OUT, split_sides
from snake_assets.detection.starting import Start
from snake_assets.detector_training import DetectorTraining
from snake_assets.figures.detector_bundle import (
    CURVE_FILE,
    CURVE_TABLE,
    FINDS_FILE,
    SCORES_FILE,
    WEIGHTS_FILE,
    write_detector,
)
from snake_assets.partitions import ACCELERATOR
from snake_assets.resources import RawData, Store
from snake_assets.storage.bundles import Bundle, is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json

BY_DEFAULT = DetectorRecipe()


class DetectorConfig(dg.Config):
    """How the detector is trained, and on how many photos it is judged."""

    epochs: int = Field(
        default=BY_DEFAULT.epochs, ge=1, le=10_000, description="Passes over the photos, 1 to 10,000."
    )
    image_size: int = Field(
        default=BY_DEFAULT.image_size,
        ge=32,
        le=4096,
        multiple_of=32,
        description="The longer side that photos are scaled to, 32 to 4,096 pixels in steps of 32. Set "
        "yolo_crops to the same.",
    )
    batch: int = Field(default=BY_DEFAULT.batch, ge=1, le=4096, description="Photos in a step, 1 to 4,096.")
    learning_rate: float = Field(
        default=BY_DEFAULT.learning_rate,
        gt=0,
        lt=1,
        description="Of AdamW at its highest, above 0 and below 1.",
    )
    frozen_layers: int = Field(
        default=BY_DEFAULT.frozen_layers,
        ge=0,
        le=100,
        description="Layers, from the first on, that stay as they are, 0 to 100; 10 is the backbone of "
        "YOLOv8. Set 0 to train an architecture from nothing.",
    )
    last_without_mosaic: int = Field(
        default=BY_DEFAULT.last_without_mosaic,
        ge=0,
        le=10_000,
        description="Epochs at the end that see whole photos, not four pieced together, 0 to 10,000.",
    )
    seed: int = Field(
        default=BY_DEFAULT.seed,
        ge=0,
        description="Seed of the sides and of the training, 0 or more; the same seed, the same detector.",
    )
    held_out: float = Field(
        default=HELD_OUT,
        gt=0,
        lt=1,
        description="Share of the photos that the detector is judged on and never learns from, above 0 and "
        "below 1. Folders images/train and images/val decide that themselves.",
    )

    def recipe(self) -> DetectorRecipe:
        """The room's own recipe."""
        return DetectorRecipe(**self.model_dump(exclude={"held_out"}))


@dg.asset(
    group_name="detector",
    kinds={"pytorch", "yolo"},
    code_version=str(TRAINING_VERSION),
    config_schema=launchpad(DetectorConfig),
    retry_policy=TRY_AGAIN,
    pool=ACCELERATOR,
)
@retries_only_what_passes
def snake_detector(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store, detector_training: DetectorTraining
) -> dg.MaterializeResult[None]:
    """A YOLO detector of snakes, trained on boxes that a person drew (SNAKE_BOXES).

    Judged on photos that are held out: mAP50 and mAP50-95, beside the weights that it started from, whose
    every find counts as a snake. Photos that repeat or mirror each other stay on one side. Not part of the
    job snakeclef: run the job detector, then set SNAKE_DETECTOR to what it wrote. If it fails, the message
    says which setting is missing or which file and line is wrong; a training that was killed begins anew.
    """
    config = config_of(context, DetectorConfig)
    boxes = read_box_files(detector_training.boxes_folder())
    start = detector_training.open_start(raw_data.folder())
    recipe: dict[str, Json] = {
        **making_recipe(start, config.recipe()),
        "boxes": boxes.digest,
        "held_out": config.held_out,
        "ultralytics": quiet_ultralytics().split(".")[0],
    }
    folder = store.folder("snake_detector")
    if start.weights:
        context.log.info(f"starting from {start.weights.path}, SHA-256 {start.weights.sha256}")
    else:
        context.log.warning(
            f"Starting from {start.name}, which takes thousands of photos to learn anything: set "
            "SNAKE_DETECTOR_START to weights."
        )
    if not is_current(folder, recipe):
        sides = split_sides(boxes.photos, config.held_out, config.seed)
        with tempfile.TemporaryDirectory(prefix="snake-detector-") as place:
            file, device = Path(place) / WEIGHTS_FILE, detector_training.resolved_device()
            with progress(context, "train the detector", "epochs") as report:
                made = make_detector(sides, start, config.recipe(), file, device, report)
            with write_bundle(folder, recipe) as aside:
                write_detector(made, start.name, aside)
    bundle = open_bundle(folder)
    context.add_asset_metadata(
        {
            "curve": picture(bundle.path(CURVE_FILE).read_bytes(), "precision over recall"),
            "finds_and_misses": picture(
                bundle.path(FINDS_FILE).read_bytes(), "finds and misses in photos that were held out", "webp"
            ),
        }
    )
    return dg.MaterializeResult(
        metadata=_shown(bundle, boxes, start, config.image_size), data_version=data_version(bundle.files)
    )


def _shown(bundle: Bundle, boxes: BoxFiles, start: Start, image_size: int) -> dict[str, Any]:
    scores = json.loads(bundle.path(SCORES_FILE).read_text())
    ours, theirs, photos = scores["detector"], scores["start"], scores["photos"]
    figures = ("map50", "map50_95", "precision", "recall", "best_confidence")
    rows = [["this detector", *(ours[name] for name in figures)]]
    if theirs:
        rows.append([f"{start.name}, any find", *(theirs[name] for name in figures)])
    return {
        "map50": ours["map50"],
        "map50_95": ours["map50_95"],
        "map50_of_the_start": theirs["map50"] if theirs else "not judged: it has never seen a photo",
        "scores": markdown_table(["on photos held out", *figures], rows),
        "starts_from": start.name,
        "photos_to_learn_from": photos["training"],
        "photos_held_out": photos["held_out"],
        "photos_repeating_another": photos["repeating_another"],
        "left_out": some_of(photos["left_out"]),
        "photos_without_label_file": some_of(boxes.without_label_file),
        "photos_with_empty_label_file": some_of(boxes.empty),
        "boxes_of_class": markdown_table(["class", "boxes"], list(boxes.classes.items())),
        "sha256": scores["sha256"],
        "to_use_it": dg.MetadataValue.md(
            f"```\nSNAKE_CROPS=yolo SNAKE_DETECTOR={bundle.path(WEIGHTS_FILE)} "
            f"SNAKE_DETECTOR_SHA256={scores['sha256']}\n```\nand `image_size: {image_size}` for `yolo_crops`"
        ),
        "training_seconds": scores["seconds"],
        "training_processor_seconds": scores["processor_seconds"],
        "curve_table": dg.MetadataValue.path(bundle.path(CURVE_TABLE)),
        "folder": dg.MetadataValue.path(bundle.folder),
        "bytes": bundle.bytes,
    }
