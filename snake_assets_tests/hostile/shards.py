"""Shards that are cut short or changed, and manifests that lead elsewhere."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from snake_assets.storage import StorageError
from snake_assets.storage.tables.manifest import MANIFEST
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.fuzz.readers import shard_seeds
from snake_assets_tests.hostile.case import Case, refused

SHARD = "part-00000.parquet"
Change = Callable[[bytes], bytes]


def read(folder: Path) -> pa.Table:
    return open_table(folder).read()


def bad(name: str, file: str, change: Change) -> Case:
    """A table of which a file was changed."""

    def run(folder: Path) -> None:
        shard_seeds(folder / "table")
        changed = folder / "table" / file
        changed.write_bytes(change(changed.read_bytes()))
        refused(StorageError, lambda: read(folder / "table"), str(folder / "table"))

    return Case(name, run)


def cuts(step: int) -> Callable[[Path], None]:
    """Cut after any byte, or after some."""

    def run(folder: Path) -> None:
        shard_seeds(folder / "table")
        file = folder / "table" / SHARD
        data = file.read_bytes()
        for end in range(0, len(data), step):
            file.write_bytes(data[:end])
            refused(StorageError, lambda: read(folder / "table"), SHARD)

    return run


def changed_values(folder: Path) -> None:
    """Change any byte of a value, wherever it stands (the statistics repeat it)."""
    shard_seeds(folder / "table")
    file = folder / "table" / SHARD
    data, whole = file.read_bytes(), read(folder / "table")
    noticed = 0
    for found in re.finditer(rb"7\.jpg|x{7}", data):
        for at in range(*found.span()):
            file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            try:
                assert read(folder / "table").equals(whole)
            except StorageError:
                noticed += 1
    assert noticed >= len(b"7.jpg") + 7


def manifest(**values: object) -> Change:
    """The manifest with another entry for its shard."""

    def change(data: bytes) -> bytes:
        content = json.loads(data)
        content["shards"][0] |= values
        return json.dumps(content).encode()

    return change


NAMES = ("../../../a.jpg", "/etc/passwd", "sub/part.parquet", "", "..", "part\0.parquet", "other.parquet")
NUMBER_FOR_SHARDS = b'"shards": 7, "x": ['
CASES = [
    Case("cut after any byte", cuts(1), slow=True),
    Case("cut after every 50th byte", cuts(50)),
    Case("any byte of a value changed", changed_values),
    bad("bytes behind its end", SHARD, lambda data: data + b"PAR1"),
    bad("zeros of the same length", SHARD, lambda data: bytes(len(data))),
    bad("footer longer than the file", SHARD, lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
    *(bad(f"manifest that names {name!r}", MANIFEST, manifest(file=name)) for name in NAMES),
    *(bad(f"manifest with {size} bytes", MANIFEST, manifest(bytes=size)) for size in (-1, 2**70, "7", None)),
    bad("manifest nested 100,000 deep", MANIFEST, lambda _: b"[" * 100_000),
    bad("manifest that is a list", MANIFEST, lambda _: b"[]"),
    bad("number for shards", MANIFEST, lambda data: data.replace(b'"shards": [', NUMBER_FOR_SHARDS)),
    bad("manifest with rejects that are none", MANIFEST, manifest(rejects=[{"a": 1}])),
    bad("manifest that is not UTF-8", MANIFEST, lambda data: b"\xff" + data),
]
