"""Writing a table shard by shard: killed at any moment, it goes on where it was.

Shard files are immutable. A new table takes numbers that the committed one does not use, so that the old
table stays whole until the new manifest replaces the old one; only then are unnamed files removed. Units
that the committed table or an interrupted run already holds are taken over as they are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage.digest_checks import footer_digest
from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import faults_named, only_writer, whole_file
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.manifest import Manifest, Reject, Shard, read_manifest
from snake_assets.storage.progress import Progress
from snake_assets.storage.tables import Table

REJECTS = "rejects.parquet"
REJECT_SCHEMA = pa.schema([("image_id", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


class TableWriter:
    """Writes one table of one split; made by `write_table`, which holds the folder's lock."""

    def __init__(
        self, folder: Path, table: str, split: str | None, schema: pa.Schema, recipe: Mapping[str, Json]
    ) -> None:
        self.folder = folder
        self.schema = schema
        self._table, self._split, self._recipe = table, split, dict(recipe)
        self._committed = read_manifest(folder)
        self._progress = Progress(folder, fingerprint(self._recipe))
        self._shards = self._recovered()
        self._remove_strays(self._named())

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
            StorageError: the file system refused.
        """
        path = self.folder / self._free_name()
        rows = 0
        # Photos and floats do not compress; dictionaries of them only cost memory.
        with (
            whole_file(path) as file,
            pq.ParquetWriter(
                file, self.schema, compression="none", use_dictionary=False, write_page_checksum=True
            ) as parquet,
        ):
            for batch in batches:
                # A row group a batch: memory holds one batch, and readers can take rows by the batch.
                parquet.write_table(pa.Table.from_batches([batch], self.schema))
                rows += batch.num_rows
        footer = footer_digest(path)
        shard = Shard(path.name, unit, rows, file.size, file.sha256, tuple(rejects), footer)
        self._shards[unit] = shard
        self._progress.add(shard)
        return shard

    def commit(self, units: Sequence[str]) -> Manifest:
        """Make the table of `units`, in this order, the one that readers see; remove all other shards.

        Raises:
            StorageError: a unit has no shard yet, or the file system refused.
        """
        absent = [unit for unit in units if unit not in self._shards]
        if absent:
            raise StorageError(f"{self.folder}: {len(absent)} of {len(units)} shards are not written yet.")
        manifest = Manifest(
            self._table, self._split, self._recipe, tuple(self._shards[unit] for unit in units)
        )
        if manifest != self._committed:
            self._write_rejects(manifest.rejects)
            manifest.write(self.folder)
        with faults_named(self.folder):
            self._remove_strays({shard.file for shard in manifest.shards})
            self._progress.remove()
        return manifest

    def _recovered(self) -> dict[str, Shard]:
        """The shards of the same recipe that are committed or were finished by an interrupted run."""
        shards = self._progress.recovered
        if self._committed and fingerprint(self._committed.recipe) == fingerprint(self._recipe):
            shards += self._committed.shards
        return {shard.unit: shard for shard in shards if shard.is_in(self.folder)}

    def _named(self) -> set[str]:
        """Files that the committed table or this run names."""
        committed = self._committed.shards if self._committed else ()
        return {shard.file for shard in (*committed, *self._shards.values())}

    def _free_name(self) -> str:
        named = self._named()
        return next(name for number in count() if (name := f"part-{number:05d}.parquet") not in named)

    def _write_rejects(self, rejects: Sequence[Reject]) -> None:
        rows = [{"image_id": r.image_id, "reason": r.reason, "detail": r.detail} for r in rejects]
        with whole_file(self.folder / REJECTS) as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=REJECT_SCHEMA), file)

    def _remove_strays(self, named: Collection[str]) -> None:
        """Remove what a killed run left half done, and shards that are no longer named."""
        for path in (*self.folder.glob("part-*.parquet"), *self.folder.glob(".*.tmp")):
            if path.name not in named:
                path.unlink()


@contextmanager
def write_table(
    folder: Path, table: str, split: str | None, schema: pa.Schema, recipe: Mapping[str, Json]
) -> Iterator[TableWriter]:
    """Write the table of a folder as its only writer.

    Args:
        folder: `<store>/<asset>/<split>`, or `<store>/<asset>` for a table without splits.
        table: the table's name.
        split: the split, or None.
        schema: of every shard; its metadata explains the table.
        recipe: how rows are made; shards of another recipe are never taken over.

    Raises:
        StorageError: another run writes there, or the folder cannot be written.
    """
    with only_writer(folder):
        with faults_named(folder):
            writer = TableWriter(folder, table, split, schema, recipe)
        yield writer
