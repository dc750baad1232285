"""Committed tables, read through their manifest."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from snake_assets.storage import StorageError
from snake_assets.storage.io import footer_digest, parquet_file, reading, status
from snake_assets.storage.objectstore.gcs import BucketPath
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, Shard, read_manifest


@dataclass(frozen=True)
class Table:
    """A committed table of one split: its folder and its manifest."""

    folder: AnyPath
    manifest: Manifest

    @property
    def schema(self) -> pa.Schema:
        """The arrow schema, with the metadata in which the table explains itself."""
        return self.schema_of(self.manifest.shards[0])

    def schema_of(self, shard: Shard) -> pa.Schema:
        """The arrow schema of one shard; only its footer is read."""
        return self._file(shard).schema_arrow

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of some columns (or of all), in the table's order."""
        return pa.concat_tables([self.read_shard(shard, columns) for shard in self.manifest.shards])

    def read_shard(self, shard: Shard, columns: Sequence[str] | None = None) -> pa.Table:
        """One shard's rows."""
        with self._readable(shard):
            return self._file(shard, columns).read(columns=columns)

    def batches(
        self, shard: Shard, columns: Sequence[str] | None = None, rows: int = 64
    ) -> Iterator[pa.RecordBatch]:
        """As `read_shard`, at most `rows` at a time, so that memory does not grow with the shard."""
        with self._readable(shard):
            yield from self._file(shard, columns).iter_batches(batch_size=rows, columns=columns)

    def rows(self, shard: Shard, numbers: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Some rows of a shard, by their numbers in ascending order; only their row groups are read."""
        parts = list(self.parts(shard, numbers, columns))
        return pa.concat_tables(parts) if parts else self.schema_of(shard).empty_table().select(columns)

    def parts(self, shard: Shard, numbers: Sequence[int], columns: Sequence[str]) -> Iterator[pa.Table]:
        """As `rows`, row group by row group: memory holds one of them."""
        with self._readable(shard):
            file = self._file(shard, columns)
            sizes = (file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
            starts = [0, *accumulate(sizes)]
            for group, own in groupby(numbers, lambda number: bisect_right(starts, number) - 1):
                places = pa.array([number - starts[group] for number in own], pa.int64())
                # Without threads: nearly all of it is one column, and whoever reads ahead has threads enough.
                yield file.read_row_group(group, columns=columns, use_threads=False).take(places)

    def sample(self, count: int, columns: Sequence[str]) -> pa.Table:
        """About `count` rows, evenly spread over the table; only their row groups are read."""
        step = max(1, self.manifest.rows_out // max(1, count))
        parts, offset = [], 0
        for shard in self.manifest.shards:
            wanted = range(-offset % step, shard.rows, step)
            if wanted:
                parts.append(self.rows(shard, wanted, columns))
            offset += shard.rows
        return pa.concat_tables(parts).slice(0, count) if parts else self.read(columns)

    def matching(self, column: str, values: Collection[object], columns: Sequence[str]) -> pa.Table:
        """The rows whose `column` is one of `values`, in the table's order; only their row groups are read.

        `column` itself is read in full.
        """
        first = self.manifest.shards[0]
        schema = self._file(first, [column, *columns]).schema_arrow
        wanted = pa.array(sorted(values), schema.field(column).type)  # type: ignore[type-var]
        parts = [schema.empty_table().select(columns)]
        for shard in self.manifest.shards:
            found = pc.is_in(self.read_shard(shard, [column])[column], wanted)
            numbers = np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
            if numbers:
                parts.append(self.rows(shard, numbers, columns))
        return pa.concat_tables(parts)

    def _file(self, shard: Shard, columns: Sequence[str] | None = None) -> pq.ParquetFile:
        """A shard's file, after a look at its size and at its footer's digest.

        Pages carry checksums of their own. The footer says where they lie and what they mean, and has none: a
        flipped bit there may give other values, or make pyarrow end the process. An object's bytes do not
        change; what its writer noted of them tells whether it is the one that was committed.
        """
        path = self.folder / shard.file
        with self._readable(shard):
            there = status(path)
            if there.size != shard.bytes:
                raise self._spoilt(
                    f"{path} has {there.size} bytes where the manifest says {shard.bytes}: cut or changed."
                )
            if there.sha256:
                same = there.sha256 == shard.sha256
            else:  # tables of early versions lack the footer's digest
                same = shard.footer_sha256 in (None, footer_digest(path))
            if not same:
                raise StorageError(
                    f"{path} is not what was committed: its digest is not the manifest's. The disk, or "
                    "somebody, has changed it. Remove this file and materialize "
                    f"{self.manifest.table} again: only what is missing is made anew."
                )
            file = parquet_file(path, there)
        # pyarrow would leave them out without a word.
        for name in columns or ():
            if name not in file.schema_arrow.names:
                raise self._spoilt(
                    f"{path} lacks the column {name!r}: it was changed, or written by other code."
                )
        return file

    def _spoilt(self, what: str) -> StorageError:
        return StorageError(f"{what} Remove {self.folder} and materialize {self.manifest.table} again.")

    @contextmanager
    def _readable(self, shard: Shard) -> Iterator[None]:
        try:
            with reading(self.folder / shard.file):
                yield
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            if isinstance(self.folder, BucketPath) and isinstance(error, FileNotFoundError):
                raise StorageError(
                    f"{self.folder / shard.file} is gone: another run has replaced the table since its "
                    "manifest was read, or somebody removed it. Run again; if it is missing then, too, "
                    f"materialize {self.manifest.table} again."
                ) from error
            raise self._spoilt(
                f"{self.folder / shard.file}, which the manifest names, cannot be read ({error})."
            ) from error


def open_table(folder: AnyPath) -> Table:
    """Open the committed table in a folder `<store>/<asset>/<split>`.

    Raises:
        StorageError: nothing has been committed there, or the manifest is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise StorageError(
            f"{folder} holds no table: materialize {folder.parent.name} for {folder.name} first."
        )
    return Table(folder, manifest)
