"""Tables written for tests, and stored ones written again with a change."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.manifest import Reject
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table


def write(
    folder: Path,
    shards: Sequence[pa.Table],
    recipe: Mapping[str, Json] | None = None,
    rejects: Sequence[Reject] = (),
) -> Table:
    """Commit a table `<store>/<table>/<split>` of some shards; the rejects are the first shard's."""
    shutil.rmtree(folder, ignore_errors=True)
    with write_table(folder, folder.parent.name, folder.name, shards[0].schema, recipe or {}) as writer:
        for number, rows in enumerate(shards):
            writer.write(str(number), rows.to_batches(), rejects if number == 0 else ())
        writer.commit([str(number) for number in range(len(shards))])
    return open_table(folder)


def write_again(
    folder: Path,
    change: Callable[[pa.Table], pa.Table] = lambda rows: rows,
    recipe: Mapping[str, Json] | None = None,
    rejects: Sequence[Reject] | None = None,
) -> None:
    """Write a stored table with its rows, recipe or rejects changed, as if it had been made so."""
    table = open_table(folder)
    made = {**table.manifest.recipe, **(recipe or {})}
    rows = change(table.read())
    if table.schema.metadata:
        rows = rows.replace_schema_metadata({key: json.dumps(value) for key, value in made.items()})
    write(folder, [rows], made, table.manifest.rejects if rejects is None else rejects)


def with_vectors(rows: pa.Table, column: str, vectors: np.ndarray) -> pa.Table:
    """The rows with other vectors [N, D] in a column."""
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), vectors.shape[1])
    return rows.set_column(rows.column_names.index(column), column, values)


def vectors_of(rows: pa.Table, column: str) -> np.ndarray:
    """A column of vectors, [N, D], to be changed."""
    return np.array(rows[column].to_pylist(), np.float32)


def vector_rows(vectors: np.ndarray, prefix: str = "", photos: int = 1) -> pa.Table:
    """Rows of an embedding table with these vectors [N, D]; an observation has `photos` photos."""
    count = len(vectors)
    rows = pa.table(
        {
            "image_id": [f"{prefix}{row}.jpg" for row in range(count)],
            "observation_id": [f"{prefix}{row // photos}" for row in range(count)],
            "class_id": pa.array([row % 3 for row in range(count)], pa.int32()),
            "sha256": [f"{prefix}-{row}" for row in range(count)],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(2 * count, np.float32)), 2),
        }
    )
    return with_vectors(rows, "embedding", vectors)
