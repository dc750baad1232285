"""Whether an embedding table's vectors can be learned from: finite, of one dimension, no column constant."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from snake_assets.data_quality.findings import Findings
from snake_assets.storage.tables.manifest import Shard
from snake_assets.storage.tables.table import Table

# In bf16, two photos share the value of a column once in a hundred; eight do so in none.
PHOTOS_TO_TELL = 8

Vectors = npt.NDArray[np.float32]


@dataclass
class _Column:
    """What has been seen of one column of vectors so far."""

    dims: int
    lowest: Vectors = field(init=False)
    highest: Vectors = field(init=False)

    def __post_init__(self) -> None:
        self.lowest = np.full(self.dims, np.inf, np.float32)
        self.highest = np.full(self.dims, -np.inf, np.float32)

    def see(self, vectors: Vectors) -> None:
        if len(vectors):
            np.minimum(self.lowest, vectors.min(axis=0), out=self.lowest)
            np.maximum(self.highest, vectors.max(axis=0), out=self.highest)

    @property
    def constant(self) -> list[int]:
        return [int(at) for at in np.flatnonzero(self.lowest == self.highest)]


def vector_dims(table: Table) -> dict[str, int]:
    """Name -> dims of the columns of vectors, from the first shard's footer."""
    return _dims(table.schema)


def examine_vectors(table: Table, dims: Mapping[str, int] | None = None) -> Findings:
    """Look at every vector of an embedding table: a shard at a time is in memory.

    A column of a block that has one value for all photos tells nothing, and means that something between the
    photo and the table is broken: a real backbone's do not. It is looked for where the table has
    PHOTOS_TO_TELL photos that differ by digest; of fewer, from two on, only a block that is constant as a
    whole is a fault.

    Args:
        table: with image_id, sha256, and columns of fixed-size lists of float32.
        dims: name -> dims that the columns must have, such as those of train; None takes the first shard's.

    Raises:
        StorageError: a shard cannot be read.
    """
    wanted = dict(dims or vector_dims(table))
    columns = {name: _Column(size) for name, size in wanted.items()}
    faults: list[str] = []
    photos: set[str] = set()
    for shard in table.manifest.shards:
        if _dims(table.schema_of(shard)) != wanted:
            faults.append(
                f"{shard.file} has vectors of {_dims(table.schema_of(shard))}, not of {wanted} dims"
            )
            continue
        faults += _see_shard(table, shard, columns, photos)
    if len(photos) > 1:
        faults += [
            f"column {at} of {name} is {column.lowest[at]:g} for all photos"
            for name, column in columns.items()
            if len(photos) >= PHOTOS_TO_TELL or len(column.constant) == column.dims
            for at in column.constant
        ]
    return Findings(
        faults, {"different photos": len(photos), **{f"{name} dims": n for name, n in wanted.items()}}
    )


def _see_shard(table: Table, shard: Shard, columns: Mapping[str, _Column], photos: set[str]) -> list[str]:
    faults = []
    rows = table.read_shard(shard, ["image_id", "sha256", *columns])
    photos.update(rows["sha256"].to_pylist())
    for name, column in columns.items():
        values = rows[name].combine_chunks()
        if values.null_count:
            faults.append(f"{values.null_count} photos of {shard.file} have no {name}")
            continue
        vectors = np.asarray(values.flatten()).reshape(len(rows), column.dims)
        with np.errstate(invalid="ignore"):
            column.see(vectors)
            # A sum is finite only if every term is: rows are looked at one by one only after a failure.
            finite = np.isfinite(vectors.sum(dtype=np.float64))
        if not finite:
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist()
            faults += [f"photo {rows['image_id'][row]} has a NaN or infinite {name}" for row in bad]
    return faults


def _dims(schema: pa.Schema) -> dict[str, int]:
    return {
        column.name: column.type.list_size for column in schema if pa.types.is_fixed_size_list(column.type)
    }
