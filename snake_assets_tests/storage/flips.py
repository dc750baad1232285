"""Flip every single bit of a small shard, and read a part of it: what came of it is printed as JSON."""

import json
import random
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from snake_assets.storage import digest_checks
from snake_assets.storage.errors import StorageError
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("n", pa.int64()),
        ("embedding", pa.list_(pa.float32(), 8)),
        ("image", pa.binary()),
    ]
)


def table_in(folder: Path) -> Table:
    """A table of one shard with two row groups."""
    draw = random.Random(1)
    rows = [
        {
            "image_id": f"{n}.jpg",
            "n": n,
            "embedding": [draw.random() for _ in range(8)],
            "image": draw.randbytes(40),
        }
        for n in range(6)
    ]
    with write_table(folder, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", [pa.RecordBatch.from_pylist(half, schema=SCHEMA) for half in (rows[:3], rows[3:])])
        writer.commit(["a"])
    return open_table(folder)


def flip_all(folder: Path) -> Counter[str]:
    """What came of each flip where the whole file is never read: refused, the same, or other values."""
    digest_checks.SMALL, digest_checks.MUCH = 0, 2
    table = table_in(folder)
    written = table.read()
    path = folder / table.manifest.shards[0].file
    whole, came = path.read_bytes(), Counter[str]()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            came["same" if table.read().equals(written, check_metadata=True) else "other"] += 1
        except StorageError:
            came["refused"] += 1
    return came


if __name__ == "__main__":
    with TemporaryDirectory() as root:
        counts = flip_all(Path(root) / "numbers" / "val")
    sys.stdout.write(json.dumps({"flips": counts.total(), **counts}) + "\n")
    sys.exit(counts["other"] > 0)
