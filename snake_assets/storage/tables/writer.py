"""Writing a table shard by shard: killed at any moment, it goes on where it was.

Shard files are immutable. A new table takes names that the committed one does not use, so that the old table
stays whole until the new manifest replaces the old one; only then are unnamed files removed. Units that the
committed table or an interrupted run already holds are taken over as they are.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.io import footer_digest, sizes
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.backends import PROGRESS, Backend, writing
from snake_assets.storage.tables.manifest import (
    Manifest,
    Reject,
    Shard,
    progress_bytes,
    read_manifest,
    read_progress,
)
from snake_assets.storage.tables.table import Table

REJECTS = "rejects.parquet"
REJECT_SCHEMA = pa.schema([("image_id", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


class TableWriter:
    """Writes one table of one split; made by `write_table`."""

    def __init__(
        self,
        folder: AnyPath,
        backend: Backend,
        table: str,
        split: str | None,
        schema: pa.Schema,
        recipe: Mapping[str, Json],
    ) -> None:
        self.folder = folder
        self.schema = schema
        self._backend = backend
        self._table, self._split, self._recipe = table, split, dict(recipe)
        self._committed = read_manifest(folder)
        self._ground = fingerprint(self._recipe) + backend.ground
        self._shards, self._finished = self._recovered()
        # Progress that holds no more goes before other shards have the names in it.
        backend.clear(self._named() | ({backend.progress} if self._finished else set()))

    @property
    def shards(self) -> list[Shard]:
        """All shards at hand: taken over and written."""
        return list(self._shards.values())

    def read(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        """Some columns of a shard at hand."""
        return Table(self.folder, Manifest(self._table, self._split, self._recipe, (shard,))).read(columns)

    def has(self, unit: str) -> bool:
        """Whether the shard of a unit is there already."""
        return unit in self._shards

    def write(self, unit: str, batches: Iterable[pa.RecordBatch], rejects: Sequence[Reject] = ()) -> Shard:
        """Commit the shard of a unit; `batches` are streamed to disk, and `rejects` may fill meanwhile.

        Raises:
            StorageError: the file system or the bucket refused.
        """
        name = self._free_name()
        rows = 0
        # Photos and floats do not compress; dictionaries of them only cost memory.
        how = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
        with self._backend.new_file(name) as file, pq.ParquetWriter(file, self.schema, **how) as parquet:
            for batch in batches:
                # A row group a batch: memory holds one batch, and readers can take rows by the batch.
                parquet.write_table(pa.Table.from_batches([batch], self.schema))
                rows += batch.num_rows
        footer = footer_digest(self.folder / name)
        shard = Shard(name, unit, rows, file.size, file.sha256, tuple(rejects), footer)
        self._shards[unit] = shard
        self._finished.append(shard)
        self._backend.tell(progress_bytes(self._ground, self._finished))
        return shard

    def commit(self, units: Sequence[str]) -> Manifest:
        """Make the table of `units`, in this order, the one that readers see; remove all other shards.

        Raises:
            StorageError: a unit has no shard yet, the file system or the bucket refused, or another run has
                committed since this one began, as may be in a bucket.
        """
        absent = [unit for unit in units if unit not in self._shards]
        if absent:
            raise StorageError(f"{self.folder}: {len(absent)} of {len(units)} shards are not written yet.")
        shards = tuple(self._shards[unit] for unit in units)
        manifest = Manifest(self._table, self._split, self._recipe, shards)
        self._backend.commit(
            manifest.to_json().encode() if manifest != self._committed else None,
            {shard.file for shard in manifest.shards},
            {REJECTS: _rejects_file(manifest.rejects)},
        )
        return manifest

    def _recovered(self) -> tuple[dict[str, Shard], list[Shard]]:
        """The shards of this recipe that are there, by unit; and those which unfinished runs told of."""
        there = sizes(self.folder)
        told = {
            shard.unit: shard
            for name in sorted(there)
            if name.startswith(PROGRESS)
            for shard in read_progress(self.folder / name, self._ground)
            if shard.is_in(there)
        }
        shards = dict(told)
        if self._committed and fingerprint(self._committed.recipe) == fingerprint(self._recipe):
            shards |= {shard.unit: shard for shard in self._committed.shards if shard.is_in(there)}
        return shards, list(told.values())

    def _named(self) -> set[str]:
        """Files that the committed table or this run names."""
        committed = self._committed.shards if self._committed else ()
        return {shard.file for shard in (*committed, *self._shards.values())}

    def _free_name(self) -> str:
        named = self._named()
        return next(name for number in count() if (name := self._backend.shard_name(number)) not in named)


def _rejects_file(rejects: Sequence[Reject]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(one) for one in rejects], schema=REJECT_SCHEMA), file)
    return file.getvalue()


@contextmanager
def write_table(
    folder: AnyPath, table: str, split: str | None, schema: pa.Schema, recipe: Mapping[str, Json]
) -> Iterator[TableWriter]:
    """Write the table of a folder: as its only writer, or in a bucket as one who may be overtaken.

    Args:
        folder: `<store>/<asset>/<split>`, or `<store>/<asset>` for a table without splits.
        table: the table's name.
        split: the split, or None.
        schema: of every shard; its metadata explains the table.
        recipe: how rows are made; shards of another recipe are never taken over.

    Raises:
        StorageError: another run writes there, or the folder cannot be written.
    """
    with writing(folder) as backend:
        yield TableWriter(folder, backend, table, split, schema, recipe)
