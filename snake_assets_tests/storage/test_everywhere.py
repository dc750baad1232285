"""What tables and bundles promise, in a folder and in a bucket alike."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snake_assets.storage import StorageError
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.io import sizes, write_whole
from snake_assets.storage.objectstore.gcs import BucketPath
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Reject, read_manifest
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table

SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string())])
Units = dict[str, tuple[int, ...]]


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    """A folder of a store."""
    return tmp_path / "b" if request.param == "folder" else request.getfixturevalue("gcs").folder("store/b")


def batch(*numbers: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist([{"n": n, "text": str(n) * 9} for n in numbers], schema=SCHEMA)]


def fill(folder: AnyPath, units: Units, recipe: str = "one") -> list[str]:
    """Write a table of `units`; returns the units that had to be written."""
    written = []
    with write_table(folder, "numbers", "val", SCHEMA, {"recipe": recipe}) as writer:
        for unit, numbers in units.items():
            if not writer.has(unit):
                writer.write(unit, batch(*numbers))
                written.append(unit)
        writer.commit(list(units))
    return written


def numbers(folder: AnyPath) -> list[int]:
    return open_table(folder).read(["n"])["n"].to_pylist()


def shards_of(folder: AnyPath) -> set[str]:
    return {name for name in sizes(folder) if name.startswith("part-")}


def named(folder: AnyPath) -> set[str]:
    return {shard.file for shard in open_table(folder).manifest.shards}


def remove(file: AnyPath) -> None:
    if isinstance(file, BucketPath):
        file.bucket.connect().bucket(file.bucket.name).blob(file.key).delete()
    else:
        file.unlink()


def test_a_table_comes_back_and_only_what_is_new_is_made(root: AnyPath):
    assert read_manifest(root) is None
    assert fill(root, {"a": (1, 2), "b": (3,)}) == ["a", "b"]
    assert open_table(root).read().to_pylist()[1] == {"n": 2, "text": "2" * 9}
    kept = named(root)
    assert fill(root, {"a": (1, 2), "b": (3,)}) == []
    assert fill(root, {"b": (3,), "c": (4,), "a": (1, 2)}) == ["c"]
    assert numbers(root) == [3, 4, 1, 2]
    assert kept < named(root) == shards_of(root)
    assert fill(root, {"c": (4,)}) == []
    assert named(root) == shards_of(root)
    assert open_table(root).manifest.holds(root, {"recipe": "one"}, ["c"])
    assert fill(root, {"c": (5,)}, recipe="two") == ["c"]
    assert numbers(root) == [5]


def test_an_interrupted_run_leaves_the_old_table_and_the_next_one_goes_on(root: AnyPath):
    fill(root, {"a": (1,)})
    with (
        pytest.raises(ZeroDivisionError),
        write_table(root, "numbers", "val", SCHEMA, {"recipe": "two"}) as writer,
    ):
        writer.write("a", batch(10))
        writer.write("b", batch(20), [Reject("x.jpg", "empty", "0 bytes")])
        raise ZeroDivisionError
    assert numbers(root) == [1]
    assert fill(root, {"a": (10,), "b": (20,), "c": (30,)}, recipe="two") == ["c"]
    assert numbers(root) == [10, 20, 30]
    assert open_table(root).manifest.rejects == [Reject("x.jpg", "empty", "0 bytes")]
    assert named(root) == shards_of(root)
    assert not [name for name in sizes(root) if "progress" in name]
    # What was finished by another recipe is not taken over.
    with write_table(root, "numbers", "val", SCHEMA, {"recipe": "three"}) as writer:
        writer.write("a", batch(1))
    assert fill(root, {"a": (11,)}, recipe="four") == ["a"]
    assert numbers(root) == [11]
    assert named(root) == shards_of(root)


def test_a_failing_batch_leaves_no_shard(root: AnyPath):
    def broken():
        yield from batch(1)
        raise RuntimeError("decoder died")

    with pytest.raises(RuntimeError), write_table(root, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", broken())
    assert set(sizes(root)) <= {"_lock"}


def test_rejects_are_counted_and_listed_for_people(root: AnyPath):
    with write_table(root, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", batch(1, 2), [Reject("x.jpg", "empty", "0 bytes")])
        with pytest.raises(StorageError, match="1 of 2 shards are not written"):
            writer.commit(["a", "b"])
        manifest = writer.commit(["a"])
    assert (manifest.rows_in, manifest.rows_out) == (3, 2)
    rows = pq.read_table(pa.BufferReader((root / "rejects.parquet").read_bytes())).to_pylist()
    assert rows == [{"image_id": "x.jpg", "reason": "empty", "detail": "0 bytes"}]


def test_rows_are_read_by_number_value_and_batch(root: AnyPath):
    with write_table(root, "numbers", "val", SCHEMA, {}) as writer:
        writer.write("a", [*batch(*range(10)), *batch(*range(10, 20))])
        writer.write("b", batch(*range(20, 30)))
        writer.commit(["a", "b"])
    table = open_table(root)
    first = table.manifest.shards[0]
    assert table.rows(first, [3, 12, 19], ["n"])["n"].to_pylist() == [3, 12, 19]
    assert table.matching("n", {5, 25, 99}, ["text"])["text"].to_pylist() == ["5" * 9, "25" * 9]
    assert [part.num_rows for part in table.batches(first, ["n"], rows=10)] == [10, 10]
    assert table.sample(3, ["n"])["n"].to_pylist() == [0, 10, 20]
    assert table.sample(100, ["n"]).num_rows == 30


def test_a_shard_that_is_gone_is_named_and_made_again(root: AnyPath):
    fill(root, {"a": (1,), "b": (2,)})
    gone = open_table(root).manifest.shards[1].file
    remove(root / gone)
    with pytest.raises(StorageError, match=rf"{gone}.*materialize numbers again"):
        numbers(root)
    assert fill(root, {"a": (1,), "b": (2,)}) == ["b"]
    assert numbers(root) == [1, 2]


@pytest.mark.fault("a shard that was exchanged for a valid one")
def test_another_file_in_the_place_of_a_shard_is_noticed(root: AnyPath):
    fill(root, {"a": (1,), "b": (2,)})
    first, second = (shard.file for shard in open_table(root).manifest.shards)
    write_whole(root / first, (root / second).read_bytes())
    with pytest.raises(StorageError, match=r"not what was committed.*materialize numbers again"):
        numbers(root)


def put(folder: AnyPath, recipe: str, **files: str) -> None:
    with write_bundle(folder, {"recipe": recipe}) as aside:
        for name, text in files.items():
            (aside / name).write_text(text)


def plain(folder: AnyPath) -> dict[str, str]:
    """What people find."""
    return {name: (folder / name).read_text() for name in sizes(folder) if not name.startswith("_")}


def test_a_bundle_comes_back_and_is_replaced_as_one(root: AnyPath):
    assert not is_current(root, {"recipe": "one"})
    with pytest.raises(StorageError, match="materialize b first"):
        open_bundle(root)
    put(root, "one", model="m", card="c")
    bundle = open_bundle(root)
    with pytest.raises(StorageError, match="holds no scores: materialize b again"):
        bundle.path("scores")
    assert {name: bundle.path(name).read_text() for name in bundle.files} == {"model": "m", "card": "c"}
    assert bundle.bytes == 2
    assert is_current(root, {"recipe": "one"})
    assert not is_current(root, {"recipe": "two"})
    put(root, "two", model="n")
    assert plain(root) == {"model": "n"}
    assert open_bundle(root).path("model").read_text() == "n"
    assert sizes(bundle.inside) == {}


def test_a_failure_keeps_the_old_bundle(root: AnyPath):
    put(root, "one", model="m")
    with pytest.raises(ZeroDivisionError), write_bundle(root, {"recipe": "two"}) as aside:
        (aside / "model").write_text("half")
        raise ZeroDivisionError
    assert plain(root) == {"model": "m"}
    assert is_current(root, {"recipe": "one"})


def spoilt(file: AnyPath) -> None:
    write_whole(file, b"x")


@pytest.mark.parametrize(("harm", "told"), [(spoilt, "is changed"), (remove, "is missing")])
def test_a_file_that_is_not_what_was_committed_is_an_error(
    root: AnyPath, harm: Callable[[AnyPath], None], told: str
):
    put(root, "one", model="m")
    harm(open_bundle(root).path("model"))
    with pytest.raises(StorageError, match=f"model {told}: materialize b again"):
        open_bundle(root)
    assert not is_current(root, {"recipe": "one"})
    put(root, "one", model="m")
    assert open_bundle(root).path("model").read_text() == "m"


def test_plain_names_that_say_something_else_are_put_right(root: AnyPath):
    put(root, "one", model="m", card="c", third="t")
    remove(root / "model")
    spoilt(root / "card")
    spoilt(root / "stray")
    assert is_current(root, {"recipe": "one"})
    assert is_current(root, {"recipe": "one"})
    assert plain(root) == {"model": "m", "card": "c", "third": "t"}
