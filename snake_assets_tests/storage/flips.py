"""Flip every single bit of a small shard, and read it: what came of it is printed as JSON."""

import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from snake_assets.storage import StorageError
from snake_assets_tests.storage.tables.test_writer import photos_in


def flip_all(folder: Path) -> Counter[str]:
    """What came of each flip: refused, the same, or other values."""
    table = photos_in(folder)
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
