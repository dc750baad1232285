"""Whether a shard that the disk has changed is noticed, and when."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.storage.digest_checks import CheckDigests, choose
from snake_assets.storage.errors import StorageError
from snake_assets.storage.tables import Table, open_table
from snake_assets.storage.writer import write_table

SCHEMA = pa.schema([("n", pa.int64())])
FOLDER = Path("numbers") / "val"


@pytest.fixture(autouse=True)
def left_to_the_environment() -> Iterator[None]:
    choose(None)
    yield
    choose(None)


def write(folder: Path) -> Table:
    """A table of two shards."""
    with write_table(folder, "numbers", "val", SCHEMA, {}) as writer:
        for number, unit in enumerate("ab"):
            if not writer.has(unit):
                writer.write(unit, [pa.RecordBatch.from_pylist([{"n": number}], schema=SCHEMA)])
        writer.commit(["a", "b"])
    return open_table(folder)


def exchange(table: Path) -> Path:
    """Put another whole parquet file of the same size and times in the place of the first: no page tells."""
    first, second = table / "part-00000.parquet", table / "part-00001.parquet"
    times = first.stat()
    first.write_bytes(second.read_bytes())
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    return first


def values(table: Table) -> list[int]:
    return [value for shard in table.manifest.shards for value in table.read_shard(shard)["n"].to_pylist()]


@pytest.mark.parametrize("mode", ["", "first", "always"])
def test_a_changed_file_is_noticed_and_only_it_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
):
    monkeypatch.setenv("SNAKE_CHECK_DIGESTS", mode)
    table = write(tmp_path / FOLDER)
    kept = (table.folder / "part-00001.parquet").stat().st_ino
    changed = exchange(table.folder)
    with pytest.raises(StorageError, match=r"part-00000.*Remove this file and materialize numbers again"):
        values(table)
    with pytest.raises(StorageError, match="part-00000"):
        next(table.batches(table.manifest.shards[0]))
    changed.unlink()
    assert values(write(tmp_path / FOLDER)) == [0, 1]
    assert (table.folder / "part-00001.parquet").stat().st_ino == kept


def test_the_first_time_is_once_for_each_file_and_always_is_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SNAKE_CHECK_DIGESTS", "first")
    table = write(tmp_path / FOLDER)
    assert values(table) == [0, 1]
    changed = exchange(table.folder)  # behind the back of inode, size and time
    assert values(table) == [1, 1]
    choose(CheckDigests.always)
    with pytest.raises(StorageError, match="part-00000"):
        values(table)
    choose(CheckDigests.first)
    os.utime(changed)
    with pytest.raises(StorageError, match="part-00000"):
        values(table)


def test_never_reads_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_CHECK_DIGESTS", "never")
    table = write(tmp_path / FOLDER)
    exchange(table.folder)
    assert values(table) == [1, 1]


def test_another_word_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_CHECK_DIGESTS", "sometimes")
    table = write(tmp_path / FOLDER)
    with pytest.raises(StorageError, match=r"SNAKE_CHECK_DIGESTS='sometimes'.*always, first, never"):
        values(table)
