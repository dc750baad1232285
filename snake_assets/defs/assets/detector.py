"""A detector of our own: trained on boxes that a person drew, judged on photos that it has not seen."""

import json
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from snake_assets.defs.assets.dependencies import on_split
from snake_assets.defs.assets.detector_tuning import DetectorConfig
from snake_assets.defs.lib.metadata import data_version, markdown_table, picture, some_of
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.lib.progress import progress
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.detector_training import DetectorTraining
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.detection.auto_labels import label_photos
from snake_assets.detection.box_files import BoxFiles, read_box_files
from snake_assets.detection.finders.yolo_weights import quiet_ultralytics
from snake_assets.detection.making import make_detector, making_recipe
from snake_assets.detection.recipe import TRAINING_VERSION
from snake_assets.detection.sides import split_sides, with_more_to_learn
from snake_assets.detection.starting import Start
from snake_assets.plots.detector_bundle import (
    CURVE_FILE,
    CURVE_TABLE,
    FINDS_FILE,
    LABELS_FILE,
    SCORES_FILE,
    WEIGHTS_FILE,
    write_detector,
)
from snake_assets.storage.bundles import Bundle, is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import open_table

OFF = (
    "off: there are no boxes to train on. Set SNAKE_BOXES to a folder with images/ and labels/ (YOLO text: a "
    "line `class cx cy w h` for each box); docs/detector.md tells more."
)


@dg.asset(
    deps=[on_split("image_table", "train")],
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

    With SNAKE_LABELLER, also on boxes that OWL-ViT draws on photos of train; a sheet shows them for review.
    Judged on photos of SNAKE_BOXES that are held out: mAP50 and mAP50-95, beside the weights that it started
    from, whose every find counts as a snake. Photos that repeat or mirror each other stay on one side. Not
    part of the job snakeclef: run the job detector, then set SNAKE_DETECTOR to what it wrote. If it fails,
    the message says which setting is missing or which file and line is wrong; a training that was killed
    begins anew.
    """
    boxes_folder = detector_training.boxes_folder()
    if boxes_folder is None:
        context.log.warning(f"The detector is {OFF}")
        return dg.MaterializeResult(metadata={"detector": OFF})
    boxes = read_box_files(boxes_folder)
    start = detector_training.open_start(raw_data.folder())
    labeller = detector_training.open_labeller(config.labels_at_least)
    images = open_table(store.folder("image_table", "train")) if labeller else None
    recipe: dict[str, Json] = {
        **making_recipe(start, config.recipe()),
        "boxes": boxes.digest,
        "held_out": config.held_out,
        "labels": config.labelling().recipe(labeller, images) if labeller and images else None,
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
            labels = None
            if labeller and images:
                with progress(context, "label photos of train") as report:
                    labels = label_photos(images, labeller, Path(place), config.labelling(), report)
                sides = with_more_to_learn(sides, labels.photos)
            with progress(context, "train the detector", "epochs") as report:
                made = make_detector(sides, start, config.recipe(), file, device, report)
            with write_bundle(folder, recipe) as aside:
                write_detector(made, start.name, labels, aside)
    bundle = open_bundle(folder)
    context.add_asset_metadata(_pictures(bundle))
    return dg.MaterializeResult(
        metadata=_shown(bundle, boxes, start), data_version=data_version(bundle.files)
    )


def _pictures(bundle: Bundle) -> dict[str, dg.MarkdownMetadataValue]:
    pictures = {
        "curve": (CURVE_FILE, "precision over recall"),
        "finds_and_misses": (FINDS_FILE, "finds and misses in photos that were held out"),
        "labels_to_review": (LABELS_FILE, "boxes that the labeller drew, from the least sure on"),
    }
    return {
        name: picture(bundle.path(file).read_bytes(), alt, Path(file).suffix[1:])
        for name, (file, alt) in pictures.items()
        if file in bundle.files
    }


def _shown(bundle: Bundle, boxes: BoxFiles, start: Start) -> dict[str, Any]:
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
        "labels": scores["labels"] or "none: SNAKE_LABELLER is not set",
        "photos_held_out": photos["held_out"],
        "photos_repeating_another": photos["repeating_another"],
        "left_out": some_of(photos["left_out"]),
        "photos_without_label_file": some_of(boxes.without_label_file),
        "photos_with_empty_label_file": some_of(boxes.empty),
        "boxes_of_class": markdown_table(["class", "boxes"], list(boxes.classes.items())),
        "sha256": scores["sha256"],
        "to_use_it": dg.MetadataValue.md(_use(bundle.shown(WEIGHTS_FILE), scores["sha256"])),
        "training_seconds": scores["seconds"],
        "training_processor_seconds": scores["processor_seconds"],
        "curve_table": dg.MetadataValue.path(str(bundle.shown(CURVE_TABLE))),
        "folder": dg.MetadataValue.path(str(bundle.folder)),
        "bytes": bundle.bytes,
    }


def _use(weights: AnyPath, sha256: str) -> str:
    fetched = weights if isinstance(weights, Path) else WEIGHTS_FILE
    fetch = "" if isinstance(weights, Path) else f"gcloud storage cp {weights} {fetched}\n"
    return f"```\n{fetch}SNAKE_CROPS=yolo SNAKE_DETECTOR={fetched} SNAKE_DETECTOR_SHA256={sha256}\n```"
