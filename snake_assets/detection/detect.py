"""The finder that the settings name, and its pass: from `image_table` to `yolo_crops`, one row a photo."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from snake_assets.detection.finders.base import (
    BestFind,
    DetectionError,
    Finder,
    FinderTuning,
    best_find,
    fitted,
)
from snake_assets.detection.finders.hub_models import open_hub_model, owl, sam
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.detection.finders.yolo import YoloFinder, trained_size
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table
from snake_assets.vision.backbone.encoder import resolve_device
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.inference.dataloader import PhotoBatch
from snake_assets.vision.inference.dataset import PhotoDataset
from snake_assets.vision.inference.ray import RayEngine
from snake_assets.vision.inference.runner import (
    MODEL,
    PassRun,
    Progress,
    SeenBatch,
    WantedTable,
    Work,
    make_tables,
)
from snake_assets.vision.preprocessing.regions import BOX, CROPS, DIGEST, Region, crop_schema

# Counts as an input: raise it when the same photos and finder would give other rows.
FINDING_VERSION = 2
KEYS = ["image_id", DIGEST]

Photos = list[NDArray[np.uint8]]


WANTED = {
    "yolo": "a .pt file of a YOLO detector, or a folder with one",
    "owlvit": "a folder of OWL-ViT or OWLv2, or a hub id that is in the hub's cache here",
    "sam": "a folder of SAM, or a hub id that is in the hub's cache here",
    "prompter": "a .pt file of a YOLO detector, or a folder of OWL-ViT or OWLv2",
}


def open_finder(
    mode: str,
    named: str | None,
    *,
    pinned_sha256: str | None = None,
    prompter: str | None = None,
    prompter_sha256: str | None = None,
    device: str = "cpu",
    tuning: FinderTuning | None = None,
    data_root: Path | None = None,
) -> Finder:
    """Find a finder's files and take their digest; its model loads at first use.

    But for YOLO without an image size: its weights tell the one that they were trained at.

    Args:
        mode: "yolo", "owlvit" or "sam" (SNAKE_CROPS).
        named: the finder's model (SNAKE_DETECTOR).
        pinned_sha256: the digest that it must have (of a file its SHA-256, of a folder
            `ModelKind.digest`), as hex; None for no pin.
        prompter: of "sam" only: what finds the boxes (SNAKE_PROMPTER), weights of YOLO or a model of OWL;
            "sam" needs it.
        prompter_sha256: the digest that the prompter must have; None for no pin.
        device: "auto", "cpu", "cuda" or "mps"; see `resolve_device`.
        tuning: which finds count; None: as `FinderTuning` has it.
        data_root: root of the raw data, inside of which weights that are pickles are refused; None where the
            user has explicitly allowed them there.

    Raises:
        DetectionError: nothing is named, the mode or device is none, or a model cannot be used.
    """
    tuning = tuning or FinderTuning()
    if mode not in ("yolo", "owlvit", "sam"):
        raise DetectionError(f"SNAKE_CROPS is {mode!r}; choose none, yolo, owlvit, sam.")
    if not named:
        raise DetectionError(
            f"SNAKE_CROPS is {mode}, but no model is named: set SNAKE_DETECTOR to {WANTED[mode]}."
        )
    if mode == "sam" and not prompter:
        raise DetectionError(
            "SNAKE_CROPS is sam, which cuts out whatever it is pointed at and knows no snakes: set "
            f"SNAKE_PROMPTER to what finds the box, {WANTED['prompter']}."
        )
    try:
        device = resolve_device(device)
    except BackboneError as error:
        raise DetectionError(str(error)) from error

    def boxes_by(variable: str, model: str, pin: str | None, yolo: bool) -> YoloFinder | OwlFinder:
        confidence, iou, most = tuning.confidence, tuning.iou, tuning.most
        if not yolo:
            files = open_hub_model(owl(variable), model, pin)
            return OwlFinder(files, tuning.queries, device, confidence or OwlFinder.confidence, iou, most)
        weights = open_weights(model, pin, data_root)
        size = tuning.image_size or trained_size(weights)
        least = confidence or YoloFinder.confidence
        return YoloFinder(weights, device, least, iou, size, most, tuning.classes)

    if mode != "sam" or not prompter:
        return boxes_by("SNAKE_DETECTOR", named, pinned_sha256, mode == "yolo")
    files = open_hub_model(sam("SNAKE_DETECTOR"), named, pinned_sha256)
    path = Path(prompter).expanduser()
    yolo = path.suffix == ".pt" or (path.is_dir() and not (path / "config.json").is_file())
    return SamFinder(files, boxes_by("SNAKE_PROMPTER", prompter, prompter_sha256, yolo), device)


@dataclass(frozen=True)
class FindingSettings:
    """How the pass is run. `batch_size` is part of the recipe (another batch shape rounds differently).

    Attributes:
        batch_size: photos that the finder sees at once; None: 4, on CUDA 64.
        decoders: threads that decode ahead of it; None: 2, on CUDA one for each processor but one.
        read_ahead: batches for each decoder that may be under way or wait.
        ray: spreads the pass over a Ray cluster; None: all is done here.
    """

    batch_size: int | None = None
    decoders: int | None = None
    read_ahead: int = 2
    ray: RayEngine | None = None

    def photos_in_a_batch(self, finder: Finder) -> int:
        """`batch_size`, or the device's own."""
        # More do not fit into a processor's caches: YOLOv8n saw a fifth fewer photos in batches of 16.
        return self.batch_size or (64 if finder.device.startswith("cuda") else 4)

    def decoding_threads(self, device: str) -> int:
        """`decoders`, or the device's own."""
        return self.decoders or (max(1, (os.cpu_count() or 2) - 1) if device.startswith("cuda") else 2)


def find_snakes(
    images: Table,
    folder: AnyPath,
    finder: Finder,
    settings: FindingSettings,
    progress: Progress | None = None,
) -> PassRun:
    """Look for the snake in every photo of a split; what is there already is kept.

    Args:
        images: the split's `image_table`.
        folder: of the table `yolo_crops`.
        finder: finds.
        settings: of the pass.
        progress: called after each batch with photos done and photos to look at in this run.

    Raises:
        StorageError: a table cannot be read or written.
        DetectionError: the finder fails; shards that are finished are kept.
        EngineError: Ray is wanted and cannot go on; likewise.
    """
    batch_size = settings.photos_in_a_batch(finder)
    # Everything that decides the rows besides the photos.
    recipe: dict[str, Json] = {
        "version": FINDING_VERSION,
        "batch_size": batch_size,
        "longest_side": finder.longest_side,
        **finder.fingerprint_parts(),
    }
    wanted = WantedTable(CROPS, folder, crop_schema(recipe), recipe)
    decoders = settings.decoding_threads(finder.device)

    def begin(to_compute: int) -> Work[Photos, list[BestFind]]:
        on_ray = settings.ray if to_compute else None
        away = on_ray.running(partial(_looking_on, finder), finder.device, decoders) if on_ray else None
        input_of = _FinderInput(finder.longest_side)
        return Work(_Looking(finder), input_of, decoders, settings.read_ahead, elsewhere=away)

    return make_tables(PhotoDataset(images, KEYS), [wanted], batch_size, begin, progress)


@dataclass(frozen=True)
class _FinderInput:
    """Photos of their own shapes, no larger than the finder makes use of."""

    longest_side: int

    def prepared(self, data: bytes, region: Region) -> NDArray[np.uint8]:
        return fitted(decode(data, at_least=self.longest_side), self.longest_side)

    def together(self, photos: Sequence[NDArray[np.uint8]]) -> Photos:
        return list(photos)


@dataclass(frozen=True)
class _Looking:
    """The finder, as the pass shows it batches."""

    finder: Finder

    @property
    def devices(self) -> tuple[str, ...]:
        return (self.finder.device,)

    def see(self, batches: Iterable[PhotoBatch[Photos]]) -> Iterator[SeenBatch[Photos, list[BestFind]]]:
        for batch in batches:
            began = time.perf_counter()
            found = [best_find(finds) for finds in self.finder.find(batch.pixels)] if batch.pixels else None
            yield SeenBatch(batch, found, {MODEL: time.perf_counter() - began})

    def rows(self, table: str, found: Sequence[list[BestFind]]) -> pa.Table:
        finds = [find for batch in found for find in batch]
        names = [*BOX, "score", "label", "mask"]
        columns = {name: [getattr(find.region, name) for find in finds] for name in names}
        schema = pa.schema([column for column in crop_schema({}) if column.name not in KEYS])
        return pa.table({**columns, "finds": [find.finds for find in finds]}, schema=schema)

    def peak_device_bytes(self) -> int | None:
        if not self.finder.device.startswith("cuda"):
            return None
        import torch

        return int(torch.cuda.max_memory_allocated(self.finder.device))


def _looking_on(finder: Finder, device: str) -> _Looking:
    """The finder in another process, by its files: it loads its model there."""
    moved = finder if finder.device == device else cast(Finder, replace(cast(Any, finder), device=device))
    return _Looking(moved)


def count_finds(crops: Table) -> dict[str, Any]:
    """The finds of the `yolo_crops` of one split, in a few figures.

    Returns:
        photos; of these photos_without_a_find, which have the whole frame, their share_without_a_find, and
        photos_with_more_than_one_find; of those with a find (None without one) median_score and
        median_share_of_the_photo, 0 to 1; labels: the finder's words -> photos, most frequent first.

    Raises:
        StorageError: a shard cannot be read.
    """
    rows = pl.DataFrame(crops.read([*BOX, "score", "label", "finds"]))
    found = rows.filter(pl.col("finds") > 0)
    share = (found["x1"] - found["x0"]) * (found["y1"] - found["y0"])
    without = rows.height - found.height
    labels = found.group_by("label").len().sort(["len", "label"], descending=[True, False])

    def middle(values: pl.Series) -> float | None:
        return round(float(cast(float, values.median())), 3) if len(values) else None

    return {
        "photos": rows.height,
        "photos_without_a_find": without,
        "share_without_a_find": round(without / rows.height, 4) if rows.height else 0.0,
        "photos_with_more_than_one_find": found.filter(pl.col("finds") > 1).height,
        "median_score": middle(found["score"]),
        "median_share_of_the_photo": middle(share),
        "labels": dict(labels.iter_rows()),
    }
