"""Rows that are there already, found by what their photo is known by: its digest, for whole photos."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from snake_assets.storage.manifest import Reject, Shard
from snake_assets.storage.writer import TableWriter


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
                digests = writer.read(shard, [known_by])[known_by].to_pylist()
                self._index(name, shard, digests)

    def has(self, digest: str) -> bool:
        """Whether every table has a row of this photo, or it is refused."""
        return digest in self._rejects or all(digest in places for places in self._places.values())

    def add(self, name: str, shard: Shard, digests: Sequence[str]) -> None:
        """A shard has been written; `digests` are those of its rows."""
        self._index(name, shard, digests)

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

    def _index(self, name: str, shard: Shard, digests: Sequence[str]) -> None:
        for row, digest in enumerate(digests):
            self._places[name].setdefault(digest, (shard, row))
