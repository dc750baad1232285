"""The shards of a pass's tables: what was computed, what is known already, and what was rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from snake_assets.storage.tables.manifest import Reject, Shard
from snake_assets.storage.tables.writer import TableWriter
from snake_assets.vision.inference.dataset import PhotoDataset


class KnownRows:
    """Looks photos up in all shards that some tables of one recipe have at hand, old ones and new ones.

    Only digests and places are held in memory; rows are read from their shards when asked for. A digest is a
    value of the column `known_by`.
    """

    def __init__(self, writers: Mapping[str, TableWriter], known_by: str) -> None:
        """Index what the writers have now; `add` tells of more."""
        self._writers = writers
        self._places: dict[str, dict[str, tuple[Shard, int]]] = {name: {} for name in writers}
        self._rejects: dict[str, Reject] = {}
        for name, writer in writers.items():
            for shard in writer.shards:
                self.add(name, shard, writer.read(shard, [known_by])[known_by].to_pylist())

    def has(self, digest: str) -> bool:
        """Whether every table has a row of this photo, or it is refused."""
        return digest in self._rejects or all(digest in places for places in self._places.values())

    def add(self, name: str, shard: Shard, digests: Sequence[str]) -> None:
        """A shard has been written; `digests` are those of its rows."""
        for row, digest in enumerate(digests):
            self._places[name].setdefault(digest, (shard, row))

    def refuse(self, rejects: Mapping[str, Reject]) -> None:
        """Photos that cannot be shown, by digest; their copies cannot be either."""
        self._rejects.update(rejects)

    def rejects_of(self, image_ids: Sequence[str], digests: Sequence[str]) -> list[Reject]:
        """The rejects among some photos, each under its own name."""
        refused = [
            (image_id, self._rejects.get(digest)) for image_id, digest in zip(image_ids, digests, strict=True)
        ]
        return [Reject(image_id, first.reason, first.detail) for image_id, first in refused if first]

    def rows(self, name: str, digests: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Some columns of known photos, in the order asked for."""
        places = [self._places[name][digest] for digest in digests]
        wanted: dict[Shard, list[int]] = {}
        for position, (shard, _) in enumerate(places):
            wanted.setdefault(shard, []).append(position)
        parts = [
            self._writers[name].read(shard, columns).take([places[position][1] for position in positions])
            for shard, positions in wanted.items()
        ]
        order = [position for positions in wanted.values() for position in positions]
        inverse = sorted(range(len(order)), key=order.__getitem__)
        return pa.concat_tables(parts).take(inverse)


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
        dataset: what is shown to the model, with the columns that every table takes over.
        known: the rows that are there.
        writers: by table.
    """

    dataset: PhotoDataset
    known: KnownRows
    writers: Mapping[str, TableWriter]

    def write(self, shard: Shard, unit: str, computed: Computed) -> int:
        """Write a shard of each table that lacks it; returns how many of its rows were copied.

        Raises:
            StorageError: a table cannot be read or written.
        """
        self.known.refuse(computed.rejects)
        keys, known_by = self.dataset.keys(shard), self.dataset.known_by
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
        wanted = kept[self.dataset.known_by].to_pylist()
        old = sorted(set(wanted) - set(computed.digests))
        place = {digest: row for row, digest in enumerate([*computed.digests, *old])}
        rows = computed.rows[name]
        if old:
            rows = pa.concat_tables([rows, self.known.rows(name, old, rows.column_names)])
        in_order = rows.take(pa.array([place[digest] for digest in wanted], pa.int64()))
        return pa.Table.from_arrays([*kept.columns, *in_order.columns], schema=schema).combine_chunks()
