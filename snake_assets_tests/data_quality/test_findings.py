"""Rows held against what went in, and one fingerprint a table: whatever is wrong is a fault with a name."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.data_quality.findings import (
    account_for_rows,
    changed_files,
    of_one_recipe,
    repeated_ids,
    too_many_rejects,
)
from snake_assets.storage.tables.manifest import Reject
from snake_assets.storage.tables.table import Table
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
    relabelled = write(tmp_path / "t" / "val", [labels(["a", "b", "c"], [1, 5, None])])
    found = account_for_rows(relabelled, labels(["a", "b", "c"], [1, 2, None]))
    assert found.faults == ["photo b has class_id 5 where 2 went in"]


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


BASE = {"backbone": "vit", "precision": "fp32"}


def made_rows(recipe: dict[str, object], column: str = "n") -> pa.Table:
    return pa.table({column: [1, 2]}).replace_schema_metadata(
        {key: json.dumps(value) for key, value in recipe.items()}
    )


def made(folder: Path, **recipe: object) -> Table:
    return write(folder, [made_rows({**BASE, **recipe})], {**BASE, **recipe})


def test_another_recipe_is_told_by_what_differs(tmp_path: Path):
    val, train = made(tmp_path / "cls" / "val"), made(tmp_path / "cls" / "train")
    dct = made(tmp_path / "dct" / "val", kept=8)
    sound = of_one_recipe(val, same_pass=[dct], same_table=train)
    assert not sound.faults and sound.figures["shards"] == 1
    # A table of the same pass differs only in what both have.
    dct = made(tmp_path / "dct" / "val", backbone="dino", kept=8)
    assert of_one_recipe(val, same_pass=[dct]).faults == ['backbone is "vit" where dct has "dino"']
    val = made(tmp_path / "cls" / "val", precision="bf16", flip=True)
    assert of_one_recipe(val, same_table=train).faults == [
        "flip is true where train has null",
        'precision is "bf16" where train has "fp32"',
    ]


def test_a_shard_that_names_another_recipe(tmp_path: Path):
    mixed = write(tmp_path / "cls" / "val", [made_rows(BASE)], {**BASE, "precision": "bf16"})
    assert of_one_recipe(mixed).faults == ["part-00000.parquet names another recipe than the manifest"]


def test_a_shard_with_other_columns(tmp_path: Path):
    folder = tmp_path / "cls" / "val"
    committed = write(folder, [made_rows(BASE), made_rows(BASE)], BASE)
    second = committed.manifest.shards[1]
    other = write(tmp_path / "other" / "val", [made_rows(BASE, column="m")], BASE)
    odd = replace(other.manifest.shards[0], file=second.file)
    (folder / second.file).write_bytes((other.folder / other.manifest.shards[0].file).read_bytes())
    manifest = replace(committed.manifest, shards=(committed.manifest.shards[0], odd))
    assert of_one_recipe(Table(folder, manifest)).faults == [
        "part-00001.parquet has other columns, or names another recipe, than part-00000.parquet"
    ]


def test_a_table_that_names_no_recipe_in_its_files(tmp_path: Path):
    plain = write(tmp_path / "image_table" / "val", [pa.table({"n": [1]})], {"version": 1})
    assert not of_one_recipe(plain).faults
