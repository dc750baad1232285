"""Rows held against what went in: whatever is lost, added, shifted or changed is a fault with a name."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.data_quality.findings import account_for_rows, changed_files, repeated_ids, too_many_rejects
from snake_assets.storage.tables.manifest import Reject
from snake_assets_tests.written import write


def labels(names: list[str], class_ids: list[int | None] | None = None) -> pa.Table:
    ids = class_ids or [len(name) for name in names]
    return pa.table({"image_id": pa.array(names, pa.string()), "class_id": pa.array(ids, pa.int32())})


def reject(name: str) -> Reject:
    return Reject(name, "empty", "The file has no bytes.")


def test_rows_and_rejects_together_are_what_went_in(tmp_path: Path):
    table = write(tmp_path / "t" / "val", [labels(["a", "c"]), labels(["dd"])], rejects=[reject("b")])
    found = account_for_rows(table, labels(["a", "b", "c", "dd"]))
    assert not found.faults
    assert found.figures == {"rows in": 4, "rows out": 3, "rejects": 1}


@pytest.mark.parametrize(
    ("rows", "rejected", "told"),
    [
        (["a", "b"], [], "photo c went in and is neither"),
        (["a", "b", "c", "x"], [], "photo x is a row and never went in"),
        (["a", "c", "b"], [], "row 1 is photo c where b should be"),
        (["a", "b", "c"], ["c"], "photo c is a row and never went in, or is rejected too"),
        (["a", "b", "c", "c"], [], "3 rows went in, but 4 came out"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, rows: list[str], rejected: list[str], told: str):
    table = write(tmp_path / "t" / "val", [labels(rows)], rejects=[reject(name) for name in rejected])
    assert told in "; ".join(account_for_rows(table, labels(["a", "b", "c"])).faults)


def test_another_label_is_named_and_no_label_is_none(tmp_path: Path):
    table = write(tmp_path / "t" / "val", [labels(["a", "b", "c"], [1, 5, None])])
    found = account_for_rows(table, labels(["a", "b", "c"], [1, 2, None]))
    assert found.faults == ["photo b has class_id 5 where 2 went in"]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8), st.permutations("abcdef"))
def test_only_the_rows_that_went_in_are_sound(rows: list[str], came_in: list[str]):
    with TemporaryDirectory() as folder:
        table = write(Path(folder) / "t" / "val", [labels(rows)])
        assert bool(account_for_rows(table, labels(came_in)).faults) == (rows != came_in)


def test_ids_that_stand_twice(tmp_path: Path):
    table = write(tmp_path / "t" / "val", [labels(["a", "b"]), labels(["a", "a"])])
    assert repeated_ids(table).faults == ["photo a stands 3 times"]
    assert not repeated_ids(write(tmp_path / "t" / "val", [labels(["a", "b"])])).faults


def test_rejects_are_named_once_they_are_too_many(tmp_path: Path):
    table = write(tmp_path / "t" / "val", [labels(["a", "b", "c"])], rejects=[reject("d")])
    assert not too_many_rejects(table, 0.25).faults
    found = too_many_rejects(table, 0.24)
    assert found.faults == ["photo d: empty, The file has no bytes."]
    assert "1 of 4 photos" in found.headline


def test_a_shard_that_was_changed_or_is_gone_is_named_whoever_reads_it(tmp_path: Path):
    table = write(tmp_path / "t" / "val", [labels(["a"]), labels(["b"]), labels(["c"])])
    assert not changed_files(table).faults
    second = tmp_path / "t" / "val" / "part-00001.parquet"
    content = second.read_bytes()
    second.write_bytes(b"par1" + content[4:])  # which no reader looks at
    (tmp_path / "t" / "val" / "part-00002.parquet").unlink()
    assert table.read_shard(table.manifest.shards[1])["image_id"].to_pylist() == ["b"]
    assert changed_files(table).faults == [
        "part-00001.parquet is not the file that was committed",
        "part-00002.parquet cannot be read (No such file or directory)",
    ]
