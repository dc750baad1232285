"""A shard of each of a pass's tables: what was computed, what is known already, and what was rejected."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from snake_assets.storage.manifest import Reject, Shard
from snake_assets.storage.writer import TableWriter
from snake_assets.vision.known import KnownRows
from snake_assets.vision.subjects import Subjects


@dataclass(frozen=True)
class Computed:
    """What was computed of a shard.

    Attributes:
        digests: what the photos that a model saw are known by.
        rows: by table, all columns but the keys; row i of photo i.
        rejects: what could not be decoded, likewise.
    """

    digests: list[str]
    rows: Mapping[str, pa.Table]
    rejects: Mapping[str, Reject]


@dataclass(frozen=True)
class ShardWriter:
    """Writes the shards of all tables, in the rows' order; what was not computed is copied.

    Attributes:
        subjects: what is shown to the model, with the columns that every table takes over.
        known: the rows that are there.
        writers: by table.
    """

    subjects: Subjects
    known: KnownRows
    writers: Mapping[str, TableWriter]

    def write(self, shard: Shard, unit: str, computed: Computed) -> int:
        """Write a shard of each table that lacks it; returns how many of its rows were copied.

        Raises:
            StorageError: a table cannot be read or written.
        """
        self.known.refuse(computed.rejects)
        keys, known_by = self.subjects.keys(shard), self.subjects.known_by
        rejects = self.known.rejects_of(keys["image_id"].to_pylist(), keys[known_by].to_pylist())
        refused = {reject.image_id for reject in rejects}
        readable = [image_id not in refused for image_id in keys["image_id"].to_pylist()]
        kept = keys.filter(pa.array(readable, pa.bool_()))
        for name, writer in self.writers.items():
            if not writer.has(unit):
                rows = self._rows(name, kept, computed, writer.schema)
                written = writer.write(unit, rows.to_batches(), rejects)
                self.known.add(name, written, kept[known_by].to_pylist())
        return int(kept.num_rows) - len(computed.digests)

    def _rows(self, name: str, kept: pa.Table, computed: Computed, schema: pa.Schema) -> pa.Table:
        wanted = kept[self.subjects.known_by].to_pylist()
        old = sorted(set(wanted) - set(computed.digests))
        place = {digest: row for row, digest in enumerate([*computed.digests, *old])}
        rows = computed.rows[name]
        if old:
            rows = pa.concat_tables([rows, self.known.rows(name, old, rows.column_names)])
        in_order = rows.take(pa.array([place[digest] for digest in wanted], pa.int64()))
        return pa.Table.from_arrays([*kept.columns, *in_order.columns], schema=schema).combine_chunks()
