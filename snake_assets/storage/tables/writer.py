"""Writing a table shard by shard: killed at any moment, it goes on where it was.

Shard files are immutable. A new table takes numbers that the committed one does not use, so that the old
table stays whole until the new manifest replaces the old one; only then are unnamed files removed. Units
that the committed table or an interrupted run already holds are taken over as they are. How that is done in a
bucket, where there is no lock, is told in bucket_tables.py.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage.bucket_path import BucketPath
from snake_assets.storage.bucket_tables import bucket_table
from snake_assets.storage.digest_checks import footer_digest
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.keeping import sizes
from snake_assets.storage.local_tables import local_table
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.table_keeping import TableKeeper
from snake_assets.storage.tables.manifest import Manifest, Reject, Shard, read_manifest
from snake_assets.storage.tables.table import Table

REJECTS = "rejects.parquet"
REJECT_SCHEMA = pa.schema([("image_id", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


class TableWriter:
    """Writes one table of one split; made by `write_table`."""

    def __init__(
        self,
        folder: AnyPath,
        keeper: TableKeeper,
        table: str,
        split: str | None,
        schema: pa.Schema,
        recipe: Mapping[str, Json],
    ) -> None:
        self.folder = folder
        self.schema = schema
        self._keeper = keeper
        self._table, self._split, self._recipe = table, split, dict(recipe)
        self._committed = read_manifest(folder)
        self._told = keeper.told(fingerprint(self._recipe))
        self._shards = self._recovered()
        keeper.clear(self._named())

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
        with (
            self._keeper.new_file(name) as file,
            pq.ParquetWriter(
                file, self.schema, compression="none", use_dictionary=False, write_page_checksum=True
            ) as parquet,
        ):
            for batch in batches:
                # A row group a batch: memory holds one batch, and readers can take rows by the batch.
                parquet.write_table(pa.Table.from_batches([batch], self.schema))
                rows += batch.num_rows
        footer = footer_digest(self.folder / name)
        shard = Shard(name, unit, rows, file.size, file.sha256, tuple(rejects), footer)
        self._shards[unit] = shard
        self._told.add(shard)
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
        manifest = Manifest(
            self._table, self._split, self._recipe, tuple(self._shards[unit] for unit in units)
        )
        self._keeper.commit(
            manifest.to_json().encode() if manifest != self._committed else None,
            {REJECTS: _rejects_file(manifest.rejects)},
            [shard.file for shard in manifest.shards],
        )
        return manifest

    def _recovered(self) -> dict[str, Shard]:
        """The shards of the same recipe that are committed or were finished by an interrupted run."""
        shards = self._told.recovered
        if self._committed and fingerprint(self._committed.recipe) == fingerprint(self._recipe):
            shards += self._committed.shards
        there = sizes(self.folder)
        return {shard.unit: shard for shard in shards if shard.is_in(there)}

    def _named(self) -> set[str]:
        """Files that the committed table or this run names."""
        committed = self._committed.shards if self._committed else ()
        return {shard.file for shard in (*committed, *self._shards.values())}

    def _free_name(self) -> str:
        named = self._named()
        return next(name for number in count() if (name := self._keeper.name(number)) not in named)


def _rejects_file(rejects: Sequence[Reject]) -> bytes:
    rows = [{"image_id": r.image_id, "reason": r.reason, "detail": r.detail} for r in rejects]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=REJECT_SCHEMA), file)
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
    with _kept(folder) as keeper:
        yield TableWriter(folder, keeper, table, split, schema, recipe)


def _kept(folder: AnyPath) -> AbstractContextManager[TableKeeper]:
    return bucket_table(folder) if isinstance(folder, BucketPath) else local_table(folder)
