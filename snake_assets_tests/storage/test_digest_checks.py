"""Whether a shard that the disk has changed is noticed, and when."""

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.storage import digest_checks
from snake_assets.storage.digest_checks import CheckDigests, choose
from snake_assets.storage.errors import StorageError
from snake_assets.storage.tables.manifest import MANIFEST
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table

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


def write_photos(folder: Path) -> Table:
    """A table of one shard with two row groups, most of which are photos."""
    schema = pa.schema([("n", pa.int64()), ("photo", pa.binary())])
    with write_table(folder, "photos", "val", schema, {}) as writer:
        rows = [{"n": n, "photo": random.Random(n).randbytes(500)} for n in range(4)]
        writer.write("a", [pa.RecordBatch.from_pylist(half, schema=schema) for half in (rows[:2], rows[2:])])
        writer.commit(["a"])
    return open_table(folder)


def shard_of(table: Table) -> Path:
    return table.folder / table.manifest.shards[0].file


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("when", "columns", "noticed"),
    [
        ("first", ["n"], False),
        ("first", ["photo"], True),
        ("first", None, True),
        ("always", ["n"], True),
    ],
)
def test_a_glance_at_a_large_file_is_not_a_reading_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, columns: list[str] | None, noticed: bool
):
    monkeypatch.setattr(digest_checks, "SMALL", 1000)
    table = write_photos(tmp_path / FOLDER)
    photo = table.read(["photo"])["photo"][0].as_py()
    flip(shard_of(table), 8 * (shard_of(table).read_bytes().index(photo) + 100))
    choose(CheckDigests(when))
    with pytest.raises(StorageError, match="not what was committed") if noticed else nullcontext():
        assert table.read(columns).num_rows == 4


@pytest.mark.parametrize("columns", [["n"], ["photo"], None])
def test_whichever_bit_flips_a_glance_gives_what_was_written_or_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, int], None],
    columns: list[str] | None,
):
    monkeypatch.setattr(digest_checks, "SMALL", 0)
    monkeypatch.setattr(digest_checks, "MUCH", 2)
    table = write_photos(tmp_path / FOLDER)
    written, path = table.read(columns), shard_of(table)
    bits = random.Random(1).sample(range(8 * path.stat().st_size), 100)
    refused = 0
    for bit in bits:
        flip(path, bit)
        try:
            assert table.read(columns).equals(written, check_metadata=True)
        except StorageError:
            refused += 1
        flip(path, bit)
    assert 0 < refused < len(bits)
    record_property("tried", len(bits))


def test_a_flip_in_the_footer_is_noticed_where_rows_are_read_by_their_numbers(tmp_path: Path):
    table = write_photos(tmp_path / FOLDER)
    path = shard_of(table)
    flip(path, 8 * (path.stat().st_size - 200))
    with pytest.raises(StorageError, match="not what was committed"):
        table.rows(table.manifest.shards[0], [3], ["n"])


def test_tables_of_a_version_without_digests_of_footers_are_read(tmp_path: Path):
    table = write(tmp_path / FOLDER)
    manifest = json.loads((table.folder / MANIFEST).read_bytes())
    for shard in manifest["shards"]:
        del shard["footer_sha256"]
    (table.folder / MANIFEST).write_text(json.dumps(manifest))
    assert values(open_table(table.folder)) == [0, 1]
