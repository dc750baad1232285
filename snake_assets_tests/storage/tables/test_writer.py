"""Tables appear whole or not at all, go on where they were, and never mix recipes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import only_writer, whole_file
from snake_assets.storage.tables.manifest import Reject, read_manifest
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table

SCHEMA = pa.schema([("n", pa.int64())])


def batch(*numbers: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist([{"n": n} for n in numbers], schema=SCHEMA)]


def fill(folder: Path, units: dict[str, tuple[int, ...]], recipe: str = "one") -> list[str]:
    """Write a table of `units`; returns the units that had to be written."""
    written = []
    with write_table(folder, "numbers", "val", SCHEMA, {"recipe": recipe}) as writer:
        for unit, numbers in units.items():
            if not writer.has(unit):
                writer.write(unit, batch(*numbers))
                written.append(unit)
        writer.commit(list(units))
    return written


def numbers(folder: Path) -> list[int]:
    return open_table(folder).read()["n"].to_pylist()


def test_a_table_comes_back_as_it_was_written(tmp_path: Path):
    fill(tmp_path, {"a": (1, 2), "b": (3,)})
    assert numbers(tmp_path) == [1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "_lock", "_manifest.json", "part-00000.parquet", "part-00001.parquet", "rejects.parquet",
    ]  # fmt: skip
    content = json.loads((tmp_path / "_manifest.json").read_text())
    assert content["schema_version"] == 1
    assert (content["rows_in"], content["rows_out"], content["rejects"]) == (3, 3, 0)
    assert all(len(shard["sha256"]) == 64 for shard in content["shards"])


def test_units_that_are_there_are_kept_and_order_follows_the_commit(tmp_path: Path):
    fill(tmp_path, {"a": (1,), "b": (2,)})
    assert fill(tmp_path, {"b": (2,), "c": (3,), "a": (1,)}) == ["c"]
    assert numbers(tmp_path) == [2, 3, 1]
    assert fill(tmp_path, {"c": (3,)}) == []
    assert numbers(tmp_path) == [3]
    assert len(list(tmp_path.glob("part-*"))) == 1


def test_another_recipe_takes_nothing_over(tmp_path: Path):
    fill(tmp_path, {"a": (1,), "b": (2,)}, recipe="one")
    assert fill(tmp_path, {"a": (10,), "b": (20,)}, recipe="two") == ["a", "b"]
    assert numbers(tmp_path) == [10, 20]


def test_the_old_table_stays_whole_until_the_new_one_is_committed(tmp_path: Path):
    fill(tmp_path, {"a": (1,), "b": (2,)}, recipe="one")
    with write_table(tmp_path, "numbers", "val", SCHEMA, {"recipe": "two"}) as writer:
        writer.write("a", batch(10))
        assert numbers(tmp_path) == [1, 2]
    assert numbers(tmp_path) == [1, 2]
    assert fill(tmp_path, {"a": (10,), "b": (20,)}, recipe="two") == ["b"]
    assert numbers(tmp_path) == [10, 20]


def test_a_failing_batch_leaves_no_shard(tmp_path: Path):
    def broken():
        yield from batch(1)
        raise RuntimeError("decoder died")

    with pytest.raises(RuntimeError), write_table(tmp_path, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", broken())
    assert [path.name for path in tmp_path.iterdir()] == ["_lock"]


def test_commit_without_all_shards_is_refused(tmp_path: Path):
    with write_table(tmp_path, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", batch(1))
        with pytest.raises(StorageError, match="1 of 2"):
            writer.commit(["a", "b"])
    assert read_manifest(tmp_path) is None


def test_rejects_are_counted_and_listed(tmp_path: Path):
    with write_table(tmp_path, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", batch(1, 2), [Reject("x.jpg", "empty", "0 bytes")])
        manifest = writer.commit(["a"])
    assert (manifest.rows_in, manifest.rows_out) == (3, 2)
    assert open_table(tmp_path).manifest.rejects == [Reject("x.jpg", "empty", "0 bytes")]


KILLED = """
import os, signal, sys
from pathlib import Path
from tempfile import TemporaryDirectory
import pyarrow as pa
from snake_assets.storage.tables.writer import write_table
schema = pa.schema([("n", pa.int64())])
with write_table(Path(sys.argv[1]), "numbers", "val", schema, {"recipe": "one"}) as writer:
    def rows(number):
        yield pa.RecordBatch.from_pylist([{"n": number}], schema=schema)
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    for number, unit in enumerate("abcde", start=1):
        writer.write(unit, rows(number))
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL
    assert read_manifest(tmp_path) is None
    wanted = {unit: (number,) for number, unit in enumerate("abcde", start=1)}
    assert fill(tmp_path, wanted) == ["c", "d", "e"]
    assert numbers(tmp_path) == [1, 2, 3, 4, 5]
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_shard_cut_short_is_written_again(tmp_path: Path):
    fill(tmp_path, {"a": (1,), "b": (2,)})
    path = tmp_path / "part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"part-00001.*materialize numbers again"):
        numbers(tmp_path)
    assert fill(tmp_path, {"a": (1,), "b": (2,)}) == ["b"]
    assert numbers(tmp_path) == [1, 2]


def test_two_writers_one_wins_and_the_other_says_so(tmp_path: Path):
    with only_writer(tmp_path), pytest.raises(StorageError, match="Another run"), only_writer(tmp_path):
        pass
    with only_writer(tmp_path):
        pass


LEADING_OUT = {
    "schema_version": 1,
    "table": "t",
    "split": None,
    "recipe": {},
    "shards": [{"file": "../../x", "unit": "u", "rows": 1, "bytes": 1, "sha256": "s", "rejects": []}],
}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}', json.dumps(LEADING_OUT)])
def test_a_damaged_manifest_says_what_to_do(tmp_path: Path, content: str):
    (tmp_path / "_manifest.json").write_text(content)
    with pytest.raises(StorageError, match="materialize again"):
        read_manifest(tmp_path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path):
    (tmp_path / "_manifest.json").write_text('{"schema_version": 99}')
    with pytest.raises(StorageError, match="99"):
        read_manifest(tmp_path)


def test_a_damaged_progress_file_only_costs_time(tmp_path: Path):
    with write_table(tmp_path, "numbers", "val", SCHEMA, {"recipe": "one"}) as writer:
        writer.write("a", batch(1))
    (tmp_path / "_progress.jsonl").write_text("{")
    assert fill(tmp_path, {"a": (1,)}) == ["a"]
    assert numbers(tmp_path) == [1]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left.*run again"), whole_file(tmp_path / "a") as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    wanted=st.sets(st.integers(0, 23)),
)
def test_rows_are_found_by_their_numbers_in_whatever_groups_they_lie(batches: list[int], wanted: set[int]):
    numbers = iter(range(sum(batches)))
    rows = [pa.RecordBatch.from_pylist([{"n": next(numbers)} for _ in range(n)], SCHEMA) for n in batches]
    asked = sorted(number for number in wanted if number < sum(batches))
    with TemporaryDirectory() as folder:
        with write_table(Path(folder), "numbers", "val", SCHEMA, {}) as writer:
            shard = writer.write("a", rows)
            writer.commit(["a"])
        assert open_table(Path(folder)).rows(shard, asked, ["n"])["n"].to_pylist() == asked


@given(wanted=st.sets(st.integers(0, 60)))
@settings(max_examples=30, deadline=None)
def test_rows_are_found_by_a_columns_values(wanted: set[int]):
    with TemporaryDirectory() as folder:
        fill(Path(folder), {"a": tuple(range(0, 40, 2)), "b": tuple(range(1, 40, 2))})
        table = open_table(Path(folder))
        found = table.matching("n", wanted, ["n"])["n"].to_pylist()
    assert found == [n for n in [*range(0, 40, 2), *range(1, 40, 2)] if n in wanted]


def test_samples_are_spread_over_the_table(tmp_path: Path):
    fill(tmp_path, {"a": tuple(range(10)), "b": tuple(range(10, 20))})
    assert open_table(tmp_path).sample(4, ["n"])["n"].to_pylist() == [0, 5, 10, 15]
    assert open_table(tmp_path).sample(100, ["n"]).num_rows == 20


@pytest.mark.parametrize("digests", ["first", "never"])
def test_a_flipped_bit_is_noticed_on_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digests: str):
    monkeypatch.setenv("SNAKE_CHECK_DIGESTS", digests)  # without them, the page's checksum tells
    fill(tmp_path, {"a": tuple(range(1000))})
    path = tmp_path / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match="materialize numbers again"):
        numbers(tmp_path)


def test_progress_of_another_recipe_is_forgotten_before_its_numbers_are_used_again(tmp_path: Path):
    with write_table(tmp_path, "numbers", "val", SCHEMA, {"recipe": "one"}) as writer:
        writer.write("a", batch(1))
    # Killed after its first shard was renamed and before its progress was written.
    with write_table(tmp_path, "numbers", "val", SCHEMA, {"recipe": "two"}):
        assert not (tmp_path / "_progress.jsonl").exists()
    assert fill(tmp_path, {"a": (1,)}, recipe="one") == ["a"]


def test_what_a_killed_run_left_is_removed_before_its_names_are_used_again(tmp_path: Path):
    fill(tmp_path, {"a": (1,)})
    for name in ("part-00001.parquet", ".part-00002.parquet.1.tmp", ".rejects.parquet.1.tmp"):
        (tmp_path / name).write_bytes(b"left over")
    with write_table(tmp_path, "numbers", "val", SCHEMA, {"recipe": "one"}):
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "_lock", "_manifest.json", "part-00000.parquet", "rejects.parquet",
        ]  # fmt: skip
    assert numbers(tmp_path) == [1]


def test_a_shards_size_and_digest_are_those_of_its_file(tmp_path: Path):
    fill(tmp_path, {"a": tuple(range(5000))})
    (shard,) = open_table(tmp_path).manifest.shards
    data = (tmp_path / shard.file).read_bytes()
    assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
