"""Whether an embedding table's vectors can be learned from: finite, of one dimension, no column constant."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from snake_assets.data_quality.findings import Findings
from snake_assets.storage.tables.table import Table

# In bf16, two photos share the value of a column once in a hundred; eight do so in none.
PHOTOS_TO_TELL = 8

Vectors = npt.NDArray[np.float32]


def vectors_in(column: pa.ChunkedArray) -> Vectors:
    """A column of vectors without nulls as float32 [N, D]."""
    values = column.combine_chunks()
    return np.asarray(values.flatten()).reshape(len(values), values.type.list_size)


def vector_dims(table: Table) -> dict[str, int]:
    """Name -> dims of the columns of vectors, from the first shard's footer."""
    return _dims(table.schema)


def examine_vectors(table: Table, dims: Mapping[str, int] | None = None) -> Findings:
    """Look at every vector of an embedding table: a shard at a time is in memory.

    A column of a block that has one value for all photos tells nothing, and means that something between the
    photo and the table is broken: a real backbone's do not. It is looked for where the table has
    PHOTOS_TO_TELL photos that differ by digest; of fewer, from two on, only a block that is constant as a
    whole is a fault. So it is with columns that are 0: a convolutional network's features that never fire.

    Args:
        table: with image_id, sha256, and columns of fixed-size lists of float32.
        dims: name -> dims that the columns must have, such as those of train; None takes the first shard's.
    """
    wanted = dict(dims or vector_dims(table))
    lowest = {name: np.full(size, np.inf, np.float32) for name, size in wanted.items()}
    highest = {name: np.full(size, -np.inf, np.float32) for name, size in wanted.items()}
    faults: list[str] = []
    photos: set[str] = set()
    for shard in table.manifest.shards:
        if (found := _dims(table.schema_of(shard))) != wanted:
            faults.append(f"{shard.file} has vectors of {found}, not of {wanted} dims")
            continue
        rows = table.read_shard(shard, ["image_id", "sha256", *wanted])
        photos.update(rows["sha256"].to_pylist())
        for name in wanted:
            if missing := rows[name].null_count:
                faults.append(f"{missing} photos of {shard.file} have no {name}")
                continue
            vectors = vectors_in(rows[name])
            with np.errstate(invalid="ignore"):
                lowest[name] = np.minimum(lowest[name], vectors.min(axis=0, initial=np.inf))
                highest[name] = np.maximum(highest[name], vectors.max(axis=0, initial=-np.inf))
                # A sum is finite only if every term is: rows are looked at one by one only after a failure.
                finite = np.isfinite(vectors.sum(dtype=np.float64))
            bad = [] if finite else np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist()
            faults += [f"photo {rows['image_id'][row]} has a NaN or infinite {name}" for row in bad]
    for name, dims_of_it in wanted.items() if len(photos) > 1 else ():
        constant = np.flatnonzero(lowest[name] == highest[name]).tolist()
        if len(constant) < dims_of_it:
            enough = len(photos) >= PHOTOS_TO_TELL
            constant = [at for at in constant if enough and lowest[name][at] != 0]
        faults += [f"column {at} of {name} is {lowest[name][at]:g} for all photos" for at in constant]
    return Findings(
        faults, {"different photos": len(photos), **{f"{name} dims": n for name, n in wanted.items()}}
    )


def _dims(schema: pa.Schema) -> dict[str, int]:
    return {
        column.name: column.type.list_size for column in schema if pa.types.is_fixed_size_list(column.type)
    }
