"""The pass of a finder: from `image_table` to `yolo_crops`, one row a photo (vision/inference)."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from snake_assets.detection.finders.base import BestFind, Finder, best_find, fitted
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table
from snake_assets.vision.decoding.decode import decode
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
    rows = crops.read([*BOX, "score", "label", "finds"])
    finds = rows["finds"].to_numpy()
    found = rows.filter(pc.greater(rows["finds"], 0))
    x0, y0, x1, y1 = (found[side].to_numpy() for side in BOX)
    counted = Counter(found["label"].to_pylist())

    def middle(values: NDArray[np.float32]) -> float | None:
        return round(float(np.median(values)), 3) if len(values) else None

    return {
        "photos": rows.num_rows,
        "photos_without_a_find": int((finds == 0).sum()),
        "share_without_a_find": round(float((finds == 0).mean()), 4) if len(finds) else 0.0,
        "photos_with_more_than_one_find": int((finds > 1).sum()),
        "median_score": middle(found["score"].to_numpy()),
        "median_share_of_the_photo": middle((x1 - x0) * (y1 - y0)),
        "labels": dict(sorted(counted.items(), key=lambda one: (-one[1], one[0]))),
    }
