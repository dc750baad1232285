"""Tables in a folder: what kills and others leave; test_everywhere.py has what holds in buckets too."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snake_assets.storage import StorageError
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets_tests.storage.test_everywhere import batch, fill, numbers

PROGRESS = "_progress.jsonl"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def unfinished(folder: Path, *units: str) -> None:
    """A run that ends after some shards."""
    with write_table(folder, "numbers", "val", batch(1)[0].schema, {"recipe": "one"}) as writer:
        for number, unit in enumerate(units, start=1):
            writer.write(unit, batch(number))


def test_the_files_and_the_manifest_are_those_that_the_docs_name(tmp_path: Path):
    fill(tmp_path, {"a": tuple(range(5000)), "b": (3,)})
    assert names(tmp_path) == [
        "_lock", "_manifest.json", "part-00000.parquet", "part-00001.parquet", "rejects.parquet",
    ]  # fmt: skip
    content = json.loads((tmp_path / "_manifest.json").read_text())
    assert content["schema_version"] == 1
    assert (content["rows_in"], content["rows_out"], content["rejects"]) == (5001, 5001, 0)
    for shard in content["shards"]:
        data = (tmp_path / shard["file"]).read_bytes()
        assert (shard["bytes"], shard["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_table_of_the_version_before_is_read_and_gone_on_with(tmp_path: Path):
    """Its pages have no checksums, its manifest no digests of footers; its progress was added to by lines."""
    shards = []
    for number, unit in enumerate("abc"):
        name = f"part-{number:05d}.parquet"
        pq.write_table(pa.Table.from_batches(batch(number)), tmp_path / name, compression="none")
        data = (tmp_path / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        shards.append(
            {"file": name, "unit": unit, "rows": 1, "bytes": len(data), "sha256": digest, "rejects": []}
        )
    recipe = {"recipe": "one"}
    content = {"schema_version": 1, "table": "numbers", "split": "val", "recipe": recipe}
    (tmp_path / "_manifest.json").write_text(json.dumps(content | {"shards": shards[:2]}))
    manifest = read_manifest(tmp_path)
    assert manifest
    ground = hashlib.sha256(b'{"recipe":"one"}').hexdigest()
    lines = [{"recipe": ground}, shards[2]]
    (tmp_path / PROGRESS).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"file": "pa')
    assert numbers(tmp_path) == [0, 1]
    assert open_table(tmp_path).rows(manifest.shards[1], [0], ["text"])["text"][0].as_py() == "1" * 9
    assert fill(tmp_path, {"a": (0,), "b": (1,), "c": (2,), "d": (3,)}) == ["d"]
    assert numbers(tmp_path) == [0, 1, 2, 3]


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_progress_cut_anywhere_tells_of_the_whole_lines(data: st.DataObject):
    with TemporaryDirectory() as root:
        folder = Path(root)
        unfinished(folder, "a", "b", "c")
        content = (folder / PROGRESS).read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        (folder / PROGRESS).write_bytes(content[:cut])
        whole = max(0, content[:cut].count(b"\n") - 1)
        assert fill(folder, {"a": (1,), "b": (2,), "c": (3,)}) == ["a", "b", "c"][whole:]
        assert numbers(folder) == [1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b'{"recipe": "r"}\n{"file": 1}\n', b"\xff\n"])
def test_damaged_progress_only_costs_time(tmp_path: Path, content: bytes):
    unfinished(tmp_path, "a")
    (tmp_path / PROGRESS).write_bytes(content)
    unfinished(tmp_path)
    assert not (tmp_path / PROGRESS).exists()
    assert fill(tmp_path, {"a": (1,)}) == ["a"]


def test_progress_of_another_recipe_is_forgotten_before_its_numbers_are_used_again(tmp_path: Path):
    unfinished(tmp_path, "a")
    # Killed after its first shard was renamed and before its progress was written.
    with write_table(tmp_path, "numbers", "val", batch(1)[0].schema, {"recipe": "two"}):
        assert not (tmp_path / PROGRESS).exists()
    assert fill(tmp_path, {"a": (1,)}) == ["a"]


def test_a_finished_shard_that_is_gone_is_never_told_of_again(tmp_path: Path):
    unfinished(tmp_path, "a", "b")
    first = (tmp_path / "part-00000.parquet").read_bytes()
    (tmp_path / "part-00000.parquet").unlink()
    unfinished(tmp_path, "c")
    (tmp_path / "part-00000.parquet").write_bytes(first)  # of the same length, under its name
    assert fill(tmp_path, {"a": (1,), "b": (2,)}) == ["a"]


def test_what_a_killed_run_left_is_removed_before_its_names_are_used_again(tmp_path: Path):
    fill(tmp_path, {"a": (1,)})
    for name in ("part-00001.parquet", ".part-00002.parquet.1.tmp", ".rejects.parquet.1.tmp"):
        (tmp_path / name).write_bytes(b"left over")
    unfinished(tmp_path)
    assert names(tmp_path) == ["_lock", "_manifest.json", "part-00000.parquet", "rejects.parquet"]
    assert numbers(tmp_path) == [1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "materialize again"),
        ('{"schema_version": 99}', "version 99, this code knows 1.*materialize again"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_what_to_do(tmp_path: Path, content: str, told: str):
    (tmp_path / "_manifest.json").write_text(content)
    with pytest.raises(StorageError, match=told):
        read_manifest(tmp_path)


def photos_in(folder: Path) -> Table:
    """A table of one shard with two row groups, most of which are photos."""
    schema = pa.schema([("n", pa.int64()), ("photo", pa.binary())])
    rows = [{"n": n, "photo": random.Random(n).randbytes(500)} for n in range(4)]
    with write_table(folder, "photos", "val", schema, {}) as writer:
        writer.write("a", [pa.RecordBatch.from_pylist(half, schema=schema) for half in (rows[:2], rows[2:])])
        writer.commit(["a"])
    return open_table(folder)


@pytest.mark.parametrize("columns", [["n"], ["photo"], None])
@pytest.mark.fault("a shard with a flipped bit, of which a part is read")
def test_whichever_bit_flips_reading_gives_what_was_written_or_says_so(
    tmp_path: Path, record_property: Callable[[str, int], None], columns: list[str] | None
):
    table = photos_in(tmp_path)
    (shard,) = table.manifest.shards
    written, whole = table.read(columns), (tmp_path / shard.file).read_bytes()
    bits = random.Random(1).sample(range(8 * len(whole)), 100)
    refused = 0
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / shard.file).write_bytes(flipped)
        try:
            assert table.read(columns).equals(written, check_metadata=True)
            assert table.rows(shard, [3], ["n"])["n"].to_pylist() == [3]
        except StorageError:
            refused += 1
    assert 0 < refused < len(bits)
    record_property("tried", len(bits))
