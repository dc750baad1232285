"""Committed tables, read through their manifest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.storage.errors import StorageError
from snake_assets.storage.manifest import Manifest, Shard, read_manifest


@dataclass(frozen=True)
class Table:
    """A committed table of one split: its folder and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def schema(self) -> pa.Schema:
        """The arrow schema, with the metadata in which the table explains itself."""
        return self._file(self.manifest.shards[0]).schema_arrow

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of some columns (or of all), in the table's order."""
        return pa.concat_tables([self.read_shard(shard, columns) for shard in self.manifest.shards])

    def read_shard(self, shard: Shard, columns: Sequence[str] | None = None) -> pa.Table:
        """One shard's rows."""
        with self._readable(shard):
            return self._file(shard).read(columns=columns)

    def batches(
        self, shard: Shard, columns: Sequence[str] | None = None, rows: int = 64
    ) -> Iterator[pa.RecordBatch]:
        """One shard's rows, at most `rows` at a time, so that memory does not grow with the shard."""
        with self._readable(shard):
            yield from self._file(shard).iter_batches(batch_size=rows, columns=columns)

    def sample(self, count: int, columns: Sequence[str]) -> pa.Table:
        """About `count` rows, evenly spread over the table; only their row groups are read."""
        shards = [shard for shard in self.manifest.shards if shard.rows]
        step = max(1, self.manifest.rows_out // max(1, count))
        parts, offset = [], 0
        for shard in shards:
            file, group_start = self._file(shard), offset
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                wanted = [row for row in range(group_start, group_start + rows) if row % step == 0]
                if wanted:
                    local = [row - group_start for row in wanted]
                    parts.append(file.read_row_group(group, columns=columns).take(local))
                group_start += rows
            offset += shard.rows
        if not parts:
            return self.read(columns)
        return pa.concat_tables(parts).slice(0, count)

    def _file(self, shard: Shard) -> pq.ParquetFile:
        path = self.folder / shard.file
        with self._readable(shard):
            size = path.stat().st_size
            if size != shard.bytes:
                raise StorageError(
                    f"{path} has {size} bytes where the manifest says {shard.bytes}: it was cut or changed. "
                    f"Remove {self.folder} and materialize {self.manifest.table} again."
                )
            return pq.ParquetFile(path, page_checksum_verification=True)

    @contextmanager
    def _readable(self, shard: Shard) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"{self.folder / shard.file}, which the manifest names, cannot be read ({error}). "
                f"Remove {self.folder} and materialize {self.manifest.table} again."
            ) from error


def open_table(folder: Path) -> Table:
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
