"""A pass of a model over the photos of `image_table`, into tables that have a shard for each of its shards.

Photos are read and decoded ahead of the model, and a shard is written while the next is computed. A photo
is known by its digest, and by the region where one is cut from it (subjects.py): one that a table of the same
recipe has already, or that stands twice, is copied and not computed again. A batch never crosses a shard, and
an interrupted run is resumed shard by shard, so it ends in the same tables as an undisturbed one.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import groupby, islice
from typing import Generic, TypeVar

from snake_assets.storage.tables.manifest import Reject, Shard
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.inference.dataloader import BatchPlan, BatchReader, Pixels, plan_batches
from snake_assets.vision.inference.dataset import Subjects
from snake_assets.vision.inference.interfaces import Found, PassRun, Progress, SeenBatch, WantedTable, Work
from snake_assets.vision.inference.writer import Computed, KnownRows, ShardWriter
from snake_assets.vision.timing import WAITING, WRITING

Batch = TypeVar("Batch")


def make_tables(
    subjects: Subjects,
    wanted: Sequence[WantedTable],
    batch_size: int,
    begin: Callable[[int], Work[Pixels, Found]],
    progress: Progress | None = None,
) -> PassRun:
    """Make the tables of one split; what is there already is kept.

    Args:
        subjects: what there is to see of the split's `image_table`, and the columns that tables take over.
        wanted: the tables.
        batch_size: photos that the model sees at once.
        begin: told how many photos there are to compute, says how; not asked where every shard is there.
        progress: called after each batch with photos done and photos to compute in this run.

    Raises:
        StorageError: a table cannot be read or written.
        MemoryCeilingError: a photo is too large for the ceiling.
        Exception: whatever the model raises; shards that are finished are kept.
    """
    run, began = PassRun(), time.perf_counter()
    manifest = subjects.images.manifest
    unit_of = {shard: subjects.unit(shard) for shard in manifest.shards}
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
            known = KnownRows(writers, subjects.known_by)
            for shard in pending:
                known.refuse(subjects.refused(shard))
            plans = plan_batches(subjects, pending, known.has, batch_size)
            work = begin(sum(len(plan.rows) for plan in plans))
            writer = ShardWriter(subjects, known, writers)
            _Pass(work, plans, writer, run, progress).write_all(unit_of)
        run.manifests = {name: writer.commit(list(unit_of.values())) for name, writer in writers.items()}
    run.seconds = time.perf_counter() - began
    return run


class _Pass(Generic[Pixels, Found]):
    """One pass over the planned batches: reads ahead of the model, and writes behind it."""

    def __init__(
        self,
        work: Work[Pixels, Found],
        plans: Sequence[BatchPlan],
        writer: ShardWriter,
        run: PassRun,
        progress: Progress | None,
    ) -> None:
        self._work, self._plans, self._writer = work, plans, writer
        self._run, self._progress = run, progress
        self._to_compute = sum(len(plan.rows) for plan in plans)
        run.memory = work.memory

    def write_all(self, unit_of: Mapping[Shard, str]) -> None:
        """Compute the batches and write their shards, each while the next is computed."""
        model = self._work.model
        with ThreadPoolExecutor(1, "write") as behind, closing(self._seen()) as seen:
            writing: Future[None] | None = None
            for shard, plans in groupby(self._plans, key=lambda plan: plan.shard):
                # Counted, not looked for: a batch that fails must not take the shard before it along.
                computed = self._gathered(islice(seen, len(list(plans))))
                if writing:
                    writing.result()
                writing = behind.submit(self._write, shard, unit_of[shard], computed)
            if writing:
                writing.result()
        self._run.devices = (self._work.elsewhere or model).devices
        self._run.peak_device_bytes = model.peak_device_bytes()

    def _seen(self) -> Generator[SeenBatch[Pixels, Found]]:
        work, subjects = self._work, self._writer.subjects
        if work.elsewhere:
            reader = BatchReader(subjects, work.preparation, self._plans)
            with closing(work.elsewhere.see(reader)) as seen:
                yield from self._waited_for(seen)
        else:
            with closing(work.read(subjects, self._plans)) as batches:
                yield from work.model.see(self._waited_for(batches))

    def _waited_for(self, coming: Generator[Batch]) -> Generator[Batch]:
        """The batches as they come, and how long they were waited for."""
        while True:
            with self._run.stages.timed(WAITING):
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
            self._run.stages.add(photos.seconds)
            self._run.stages.add(batch.seconds)
            self._run.computed += len(photos.digests) + len(photos.rejects)
            if self._progress and self._run.computed:
                self._progress(self._run.computed, self._to_compute)
        rows = {name: self._work.model.rows(name, found) for name in self._writer.writers}
        return Computed(digests, rows, rejects)

    def _write(self, shard: Shard, unit: str, computed: Computed) -> None:
        with self._run.stages.timed(WRITING):
            self._run.copied += self._writer.write(shard, unit, computed)
