"""Writing a table shard by shard: killed at any moment, it goes on where it was.

Shard files are immutable. A new table takes numbers that the committed one does not use, so that the old
table stays whole until the new manifest replaces the old one; only then are unnamed files removed. Units
that the committed table or an interrupted run already holds are taken over as they are.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import only_writer, whole_file, write_whole
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.manifest import (
    Manifest,
    Reject,
    Shard,
    read_manifest,
    shards_from_json,
    shards_to_json,
)
from snake_assets.storage.tables import Table

PROGRESS = "_progress.json"
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
        self._shards = self._recovered()

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
        path = self.folder / f"part-{self._free_number():05d}.parquet"
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
        shard = Shard(path.name, unit, rows, path.stat().st_size, file_digest(path), tuple(rejects))
        self._shards[unit] = shard
        progress = {
            "recipe": fingerprint(self._recipe),
            "shards": shards_to_json(list(self._shards.values())),
        }
        write_whole(self.folder / PROGRESS, json.dumps(progress).encode())
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
        self._remove_strays(manifest)
        return manifest

    def _recovered(self) -> dict[str, Shard]:
        """The shards of the same recipe that are committed or were finished by an interrupted run."""
        shards = self._interrupted()
        if self._committed and fingerprint(self._committed.recipe) == fingerprint(self._recipe):
            shards += self._committed.shards
        return {shard.unit: shard for shard in shards if self._is_there(shard)}

    def _interrupted(self) -> tuple[Shard, ...]:
        try:
            progress = json.loads((self.folder / PROGRESS).read_bytes())
            if progress["recipe"] == fingerprint(self._recipe):
                return shards_from_json(progress["shards"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass  # a progress file that cannot be used only means that its shards are made again
        # Its numbers are about to be given to shards of this recipe.
        (self.folder / PROGRESS).unlink(missing_ok=True)
        return ()

    def _is_there(self, shard: Shard) -> bool:
        path = self.folder / shard.file
        return path.is_file() and path.stat().st_size == shard.bytes

    def _free_number(self) -> int:
        named = {shard.file for shard in self._shards.values()}
        if self._committed:
            named |= {shard.file for shard in self._committed.shards}
        number = 0
        while f"part-{number:05d}.parquet" in named:
            number += 1
        return number

    def _write_rejects(self, rejects: Sequence[Reject]) -> None:
        rows = [{"image_id": r.image_id, "reason": r.reason, "detail": r.detail} for r in rejects]
        with whole_file(self.folder / REJECTS) as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=REJECT_SCHEMA), file)

    def _remove_strays(self, manifest: Manifest) -> None:
        named = {shard.file for shard in manifest.shards}
        for path in self.folder.glob("part-*.parquet"):
            if path.name not in named:
                path.unlink()
        for path in self.folder.glob(".*.tmp"):
            path.unlink()
        (self.folder / PROGRESS).unlink(missing_ok=True)


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
        yield TableWriter(folder, table, split, schema, recipe)
