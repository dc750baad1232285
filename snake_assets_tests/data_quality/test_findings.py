"""Rows held against what went in, and one fingerprint a table: whatever is wrong is a fault with a name."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from snake_assets.data_quality.findings import (
    account_for_rows,
    changed_files,
    of_one_recipe,
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
    for rows, rejected, told in (
        (["a", "b", "c"], [reject("c")], "photo c is a row and never went in, or is rejected too"),
        (["a", "b", "c", "c"], [], "3 rows went in, but 4 came out"),
    ):
        table = write(tmp_path / "t" / "val", [labels(rows)], rejects=rejected)
        assert told in "; ".join(account_for_rows(table, labels(["a", "b", "c"])).faults)


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


def test_a_shard_of_another_recipe_or_with_other_columns(tmp_path: Path):
    plain = write(tmp_path / "image_table" / "val", [pa.table({"n": [1]})], {"version": 1})
    assert not of_one_recipe(plain).faults  # its files name none
    mixed = write(tmp_path / "cls" / "val", [made_rows(BASE)], {**BASE, "precision": "bf16"})
    assert of_one_recipe(mixed).faults == ["part-00000.parquet names another recipe than the manifest"]
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
