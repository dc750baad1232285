"""One fingerprint a table: shards, tables of a pass, and splits that were made otherwise are found."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from snake_assets.data_quality.findings import of_one_recipe
from snake_assets.storage.tables.table import Table
from snake_assets_tests.written import write

BASE = {"backbone": "vit", "precision": "fp32"}


def rows(recipe: dict[str, object], column: str = "n") -> pa.Table:
    return pa.table({column: [1, 2]}).replace_schema_metadata(
        {key: json.dumps(value) for key, value in recipe.items()}
    )


def table(folder: Path, **recipe: object) -> Table:
    return write(folder, [rows({**BASE, **recipe})], {**BASE, **recipe})


def test_tables_of_one_recipe(tmp_path: Path):
    val, train = table(tmp_path / "cls" / "val"), table(tmp_path / "cls" / "train")
    dct = table(tmp_path / "dct" / "val", kept=8)
    found = of_one_recipe(val, same_pass=[dct], same_table=train)
    assert not found.faults
    assert found.figures["shards"] == 1


def test_a_split_of_another_recipe_is_told_by_what_differs(tmp_path: Path):
    val = table(tmp_path / "cls" / "val", precision="bf16", flip=True)
    train = table(tmp_path / "cls" / "train")
    assert of_one_recipe(val, same_table=train).faults == [
        "flip is true where train has null",
        'precision is "bf16" where train has "fp32"',
    ]


def test_a_table_of_the_same_pass_differs_only_in_what_both_have(tmp_path: Path):
    cls = table(tmp_path / "cls" / "val")
    dct = table(tmp_path / "dct" / "val", backbone="dino", kept=8)
    assert of_one_recipe(cls, same_pass=[dct]).faults == ['backbone is "vit" where dct has "dino"']


def test_a_shard_that_names_another_recipe(tmp_path: Path):
    mixed = write(tmp_path / "cls" / "val", [rows(BASE)], {**BASE, "precision": "bf16"})
    assert of_one_recipe(mixed).faults == ["part-00000.parquet names another recipe than the manifest"]


def test_a_shard_with_other_columns(tmp_path: Path):
    folder = tmp_path / "cls" / "val"
    committed = write(folder, [rows(BASE), rows(BASE)], BASE)
    second = committed.manifest.shards[1]
    other = write(tmp_path / "other" / "val", [rows(BASE, column="m")], BASE)
    odd = replace(other.manifest.shards[0], file=second.file)
    (folder / second.file).write_bytes((other.folder / other.manifest.shards[0].file).read_bytes())
    manifest = replace(committed.manifest, shards=(committed.manifest.shards[0], odd))
    assert of_one_recipe(Table(folder, manifest)).faults == [
        "part-00001.parquet has other columns, or names another recipe, than part-00000.parquet"
    ]


def test_a_table_that_names_no_recipe_in_its_files(tmp_path: Path):
    plain = write(tmp_path / "image_table" / "val", [pa.table({"n": [1]})], {"version": 1})
    assert not of_one_recipe(plain).faults
