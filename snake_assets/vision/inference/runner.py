"""A pass of a model over the photos of `image_table`, into tables that have a shard for each of its shards.

Photos are read and decoded ahead of the model (dataloader.py), and a shard is written (writer.py) while the
next is computed. A photo is known by its digest, and by the region where one is cut from it (dataset.py): one
that a table of the same recipe has already, or that stands twice, is copied and not computed again. A batch
never crosses a shard, and an interrupted run is resumed shard by shard, so it ends in the same tables as an
undisturbed one.
"""

import resource
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, Reject, Shard
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.inference.dataloader import (
    DECODING,
    READING,
    BatchReader,
    PhotoBatch,
    Pixels,
    Preparation,
    read_in_processes,
    read_in_threads,
)
from snake_assets.vision.inference.dataset import BatchPlan, PhotoDataset, plan_batches
from snake_assets.vision.inference.writer import Computed, KnownRows, ShardWriter

Found = TypeVar("Found")
Batch = TypeVar("Batch")
Progress = Callable[[int, int], None]

MODEL, WRITING, WAITING = "model", "writing", "waiting for photos"
# Those of every pass; a model may tell of more.
STAGES = (READING, DECODING, MODEL, WRITING, WAITING)


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass
class PassRun:
    """What a pass did.

    Attributes:
        manifests: by table.
        computed: photos that the model saw or that turned out to be unreadable.
        copied: rows that were copied.
        seconds: of the whole pass.
        stages: seconds of work by stage. Stages overlap, and several workers may be in one: the sum may be
            larger than `seconds`.
        devices: what the model ran on.
        peak_device_bytes: most memory in use on one CUDA device; None without one.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    computed: int = 0
    copied: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    devices: tuple[str, ...] = ()
    peak_device_bytes: int | None = None

    @property
    def images_per_second(self) -> float:
        """Photos computed per second of this pass; 0 where nothing had to be computed."""
        return self.computed / self.seconds if self.computed else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Seconds of work of each stage per second of the pass."""
        return {stage: seconds / self.seconds for stage, seconds in self.stages.items()}

    def add(self, seconds: Mapping[str, float]) -> None:
        """Seconds of work, by stage; each stage is to be told of by one thread only."""
        for stage, amount in seconds.items():
            self.stages[stage] = self.stages.get(stage, 0.0) + amount

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """What happens inside is work of this stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] += time.perf_counter() - began


@dataclass(frozen=True)
class WantedTable:
    """A table that a pass is to make: where, its columns, and all that decides its rows but the photos."""

    name: str
    folder: AnyPath
    schema: pa.Schema
    recipe: Mapping[str, Json]


@dataclass(frozen=True, eq=False)
class SeenBatch(Generic[Pixels, Found]):
    """A batch that went through the model, and seconds by stage; without a photo nothing is found."""

    photos: PhotoBatch[Pixels]
    found: Found | None
    seconds: Mapping[str, float]


class Model(Protocol[Pixels, Found]):
    """What a pass shows its photos to."""

    @property
    def devices(self) -> tuple[str, ...]:
        """What it runs on."""

    def see(self, batches: Iterable[PhotoBatch[Pixels]]) -> Iterator[SeenBatch[Pixels, Found]]:
        """The batches in the order given, with what was found in them."""

    def rows(self, table: str, found: Sequence[Found]) -> pa.Table:
        """All columns of a table but the keys, a row for each photo of the batches."""

    def peak_device_bytes(self) -> int | None:
        """Most memory in use on any one CUDA device so far; None without one."""


class Elsewhere(Protocol[Pixels, Found]):
    """Reads batches and shows them to a model in other processes than this one."""

    @property
    def devices(self) -> tuple[str, ...]:
        """What the model ran on."""

    def see(self, reader: BatchReader[Pixels]) -> Generator[SeenBatch[Pixels, Found]]:
        """All batches of a reader in order, with what was found in them."""


@dataclass(frozen=True)
class Work(Generic[Pixels, Found]):
    """How a pass is done.

    Attributes:
        model: sees the photos.
        preparation: makes them ready for it.
        decoders: threads or processes that read ahead.
        read_ahead: batches for each of them that may be under way or wait: what bounds the memory of a pass.
        processes: whether they are processes.
        elsewhere: does both in their place; the model here then only makes rows of what was found.
    """

    model: Model[Pixels, Found]
    preparation: Preparation[Pixels]
    decoders: int
    read_ahead: int
    processes: bool = False
    elsewhere: Elsewhere[Pixels, Found] | None = None


def make_tables(
    dataset: PhotoDataset,
    wanted: Sequence[WantedTable],
    batch_size: int,
    begin: Callable[[int], Work[Pixels, Found]],
    progress: Progress | None = None,
) -> PassRun:
    """Make the tables of one split; what is there already is kept.

    Args:
        dataset: the split's photos, and the columns that tables take over.
        wanted: the tables.
        batch_size: photos that the model sees at once.
        begin: told how many photos there are to compute, says how; not asked where every shard is there.
        progress: called after each batch with photos done and photos to compute in this run.

    Raises:
        StorageError: a table cannot be read or written.
        Exception: whatever the model raises; shards that are finished are kept.
    """
    run, began = PassRun(), time.perf_counter()
    manifest = dataset.images.manifest
    unit_of = {shard: dataset.unit(shard) for shard in manifest.shards}
    with ExitStack() as stack:
        writers = {
            table.name: stack.enter_context(
                write_table(table.folder, table.name, manifest.split, table.schema, table.recipe)
            )
            for table in wanted
        }
        pending = [
            shard
            for shard, unit in unit_of.items()
            if not all(writer.has(unit) for writer in writers.values())
        ]
        if pending:
            known = KnownRows(writers, dataset.known_by)
            for shard in pending:
                known.refuse(dataset.refused(shard))
            plans = plan_batches(dataset, pending, known.has, batch_size)
            work = begin(sum(len(plan.rows) for plan in plans))
            _Pass(work, plans, ShardWriter(dataset, known, writers), run, progress).write_all(unit_of)
        run.manifests = {name: writer.commit(list(unit_of.values())) for name, writer in writers.items()}
    run.seconds = time.perf_counter() - began
    return run


@dataclass(frozen=True)
class _Pass(Generic[Pixels, Found]):
    """One pass over the planned batches: reads ahead of the model, and writes behind it."""

    work: Work[Pixels, Found]
    plans: Sequence[BatchPlan]
    writer: ShardWriter
    run: PassRun
    progress: Progress | None

    @cached_property
    def _to_compute(self) -> int:
        return sum(len(plan.rows) for plan in self.plans)

    def write_all(self, unit_of: Mapping[Shard, str]) -> None:
        """Compute the batches and write their shards, each while the next is computed."""
        with ThreadPoolExecutor(1, "write") as behind, closing(self._seen()) as seen:
            writing: Future[None] | None = None
            for shard, plans in groupby(self.plans, key=lambda plan: plan.shard):
                # Counted, not looked for: a batch that fails must not take the shard before it along.
                computed = self._gathered(islice(seen, len(list(plans))))
                if writing:
                    writing.result()
                writing = behind.submit(self._write, shard, unit_of[shard], computed)
            if writing:
                writing.result()
        self.run.devices = (self.work.elsewhere or self.work.model).devices
        self.run.peak_device_bytes = self.work.model.peak_device_bytes()

    def _seen(self) -> Generator[SeenBatch[Pixels, Found]]:
        work, reader = self.work, BatchReader(self.writer.dataset, self.work.preparation, self.plans)
        if work.elsewhere:
            with closing(work.elsewhere.see(reader)) as seen:
                yield from self._waited_for(seen)
            return
        if work.processes:
            pinned = work.model.devices[0].startswith("cuda")
            reading = read_in_processes(reader, work.decoders, work.read_ahead, pinned=pinned)
        else:
            reading = read_in_threads(reader, work.decoders, work.decoders * work.read_ahead)
        with closing(reading) as batches:
            yield from work.model.see(self._waited_for(batches))

    def _waited_for(self, coming: Generator[Batch]) -> Generator[Batch]:
        """The batches as they come, and how long they were waited for."""
        while True:
            with self.run.timed(WAITING):
                batch = next(coming, None)
            if batch is None:
                return
            yield batch

    def _gathered(self, seen: Iterator[SeenBatch[Pixels, Found]]) -> Computed:
        digests: list[str] = []
        found: list[Found] = []
        rejects: dict[str, Reject] = {}
        for batch in seen:
            photos = batch.photos
            rejects.update(photos.rejects)
            if batch.found is not None:
                digests += photos.digests
                found.append(batch.found)
            self.run.add(photos.seconds)
            self.run.add(batch.seconds)
            self.run.computed += len(photos.digests) + len(photos.rejects)
            if self.progress and self.run.computed:
                self.progress(self.run.computed, self._to_compute)
        rows = {name: self.work.model.rows(name, found) for name in self.writer.writers}
        return Computed(digests, rows, rejects)

    def _write(self, shard: Shard, unit: str, computed: Computed) -> None:
        with self.run.timed(WRITING):
            self.run.copied += self.writer.write(shard, unit, computed)
