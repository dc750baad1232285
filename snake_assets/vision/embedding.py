"""The embedding pass: from `image_table` to both embedding tables, in one forward pass per photo.

Photos are read and decoded ahead of the model, and a shard is written while the next is computed. A photo
is known by its digest: one that a table of the same recipe has already, or that stands twice, is copied and
not computed again. A batch never crosses a shard, and an interrupted run is resumed shard by shard, so it
ends in the same tables as an undisturbed one. Vectors that are copied after the photos changed may differ in
their last bits from those of a run afresh, whose batches were others.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from snake_assets.storage.manifest import Manifest, Shard
from snake_assets.storage.tables import Table
from snake_assets.storage.writer import TableWriter, write_table
from snake_assets.vision.embedding_settings import EmbeddingSettings
from snake_assets.vision.embedding_tables import (
    DCT,
    DINOV2,
    EMBEDDING_VERSION,
    LAYERS,
    ShardFeatures,
    ShardWriter,
    recipes,
    schema,
)
from snake_assets.vision.keys import unit_made_of
from snake_assets.vision.known import KnownVectors
from snake_assets.vision.read_ahead import read_in_processes, read_in_threads
from snake_assets.vision.reading import BatchPlan, BatchReader, PhotoBatch, plan_batches
from snake_assets.vision.replicas import Replicas, SeenBatch, devices_like
from snake_assets.vision.stages import WAITING, WRITING, StageTimes

if TYPE_CHECKING:
    from snake_assets.vision.backbone import Backbone

__all__ = [
    "DCT",
    "DINOV2",
    "EMBEDDING_VERSION",
    "LAYERS",
    "EmbeddingRun",
    "EmbeddingSettings",
    "embed",
    "recipes",
]


@dataclass
class EmbeddingRun:
    """What a pass did.

    Attributes:
        manifests: by table.
        computed: photos that went through the backbone or turned out to be unreadable.
        copied: rows that were copied.
        seconds: of the whole pass.
        stages: where the time went.
        devices: what the backbone ran on.
        peak_device_bytes: most memory in use on one CUDA device; None without one.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    computed: int = 0
    copied: int = 0
    seconds: float = 0.0
    stages: StageTimes = field(default_factory=StageTimes)
    devices: tuple[str, ...] = ()
    peak_device_bytes: int | None = None

    @property
    def images_per_second(self) -> float:
        """Photos computed per second of this pass; 0 where nothing had to be computed."""
        return self.computed / self.seconds if self.computed else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Seconds of work of each stage per second of the pass; stages overlap, so the sum may exceed 1."""
        return {stage: seconds / self.seconds for stage, seconds in self.stages.seconds.items()}


def embed(
    images: Table,
    folders: Mapping[str, Path],
    backbone: "Backbone",
    settings: EmbeddingSettings,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingRun:
    """Compute the embedding tables of one split; what is there already is kept.

    Args:
        images: the split's `image_table`.
        folders: of the tables that are wanted (`dinov2_embeddings`, `dct_embeddings`, `layer_embeddings`):
            name -> folder.
        backbone: gives CLS and patch tokens.
        settings: of the pass.
        progress: called after each batch with photos done and photos to compute in this run.

    Raises:
        StorageError: a table cannot be read or written.
        BackboneError: the model cannot be loaded.
        EmbeddingError: memory does not suffice, or a process that decodes was ended.
    """
    run, began = EmbeddingRun(), time.perf_counter()
    recipe_of = recipes(backbone, settings)
    unit_of = {shard: unit_made_of(shard) for shard in images.manifest.shards}
    with ExitStack() as stack:
        writers: dict[str, TableWriter] = {}
        for name, folder in folders.items():
            columns = schema(name, backbone, recipe_of[name])
            table = write_table(folder, name, images.manifest.split, columns, recipe_of[name])
            writers[name] = stack.enter_context(table)
        pending = [
            shard
            for shard, unit in unit_of.items()
            if not all(writer.has(unit) for writer in writers.values())
        ]
        if pending:
            known = KnownVectors(writers)
            batch_size = settings.photos_in_a_batch(backbone.device)
            plans = plan_batches(images, pending, known.has, batch_size)
            writer = ShardWriter(images, known, writers)
            _Pass(images, backbone, settings, plans, run, progress).write_all(writer, unit_of)
        run.manifests = {name: writer.commit(list(unit_of.values())) for name, writer in writers.items()}
    run.seconds = time.perf_counter() - began
    return run


class _Pass:
    """One pass over the planned batches: reads ahead of the model, and writes behind it."""

    def __init__(
        self,
        images: Table,
        backbone: "Backbone",
        settings: EmbeddingSettings,
        plans: Sequence[BatchPlan],
        run: EmbeddingRun,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._run, self._progress = run, progress
        self._to_compute = sum(len(plan.rows) for plan in plans)
        self._reader = BatchReader(images, backbone.preprocessing, plans)
        self._settings = settings.for_work(backbone.device, self._to_compute, images.manifest.rows_out)
        run.devices = settings.devices or devices_like(backbone.device)
        self._backbone = backbone

    def write_all(self, writer: ShardWriter, unit_of: Mapping[Shard, str]) -> None:
        """Compute the batches and write their shards, each while the next is computed."""
        # Where all rows are copied, not even the model is loaded.
        compiled = self._to_compute > 0 and self._settings.compiled == "always"
        replicas = Replicas(
            self._backbone,
            self._run.devices,
            orthonormal=self._settings.orthonormal_dct,
            layers=LAYERS in writer.writers,
            compiled_for=self._settings.batch_size if compiled else None,
        )
        with ThreadPoolExecutor(1, "write") as behind, closing(self._batches()) as batches:
            writing: Future[None] | None = None
            for shard, seen in groupby(replicas.see(batches), key=lambda batch: batch.photos.shard):
                computed = self._gathered(seen)
                if writing:
                    writing.result()
                writing = behind.submit(self._write, writer, shard, unit_of[shard], computed)
            if writing:
                writing.result()
        self._run.peak_device_bytes = replicas.peak_device_bytes()

    def _batches(self) -> Generator[PhotoBatch]:
        """The batches as they come, and how long they were waited for."""
        workers, ahead = self._settings.decoders or 1, self._settings.read_ahead
        if self._settings.processes == "always":
            pinned = self._run.devices[0].startswith("cuda")
            batches = read_in_processes(self._reader, workers, ahead, pinned=pinned)
        else:
            batches = read_in_threads(self._reader, workers, ahead)
        with closing(batches):
            while True:
                with self._run.stages.timed(WAITING):
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch

    def _gathered(self, seen: Iterator[SeenBatch]) -> ShardFeatures:
        computed = ShardFeatures([], [], {})
        for batch in seen:
            photos = batch.photos
            computed.rejects.update(photos.rejects)
            if batch.features:
                computed.digests += photos.digests
                computed.parts.append(batch.features)
            self._run.stages.add(photos.seconds)
            self._run.stages.add(batch.seconds)
            self._run.computed += len(photos.digests) + len(photos.rejects)
            if self._progress and self._run.computed:
                self._progress(self._run.computed, self._to_compute)
        return computed

    def _write(self, writer: ShardWriter, shard: Shard, unit: str, computed: ShardFeatures) -> None:
        with self._run.stages.timed(WRITING):
            self._run.copied += writer.write(shard, unit, computed)
