"""Two who write at once into a bucket: one wins, the other says so, and nothing of the winner's is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from snake_assets.storage import StorageError
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.io import sizes
from snake_assets.storage.objectstore.gcs import BucketPath
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import TableWriter, write_table
from snake_assets_tests.gcs.faults import NothingHalf
from snake_assets_tests.gcs.server import Asked, Cloud
from snake_assets_tests.storage.test_everywhere import (
    SCHEMA,
    batch,
    fill,
    named,
    numbers,
    plain,
    put,
    shards_of,
)

pytestmark = pytest.mark.fault("two writers, and writers that stop half way")

OVERTAKEN = "Another run has written .* since this one began.*: run again"


@pytest.fixture
def folder(gcs: Cloud) -> Iterator[BucketPath]:
    """A folder in which nothing half is ever seen."""
    gcs.objects.watch = seen = NothingHalf()
    yield gcs.folder("store/numbers/val")
    assert seen.looks
    assert seen.faults == []


def writing(folder: BucketPath, recipe: str = "one"):
    return write_table(folder, "numbers", "val", SCHEMA, {"recipe": recipe})


def write(writer: TableWriter, **units: int) -> None:
    for unit, number in units.items():
        writer.write(unit, batch(number))


@pytest.mark.parametrize("late", [1, 2], ids=["at its next shard", "at its commit"])
def test_of_two_tables_that_began_at_once_the_first_to_commit_stays(folder: BucketPath, late: int):
    fill(folder, {"a": (1,)})
    with writing(folder, "two") as one, writing(folder, "two") as other:
        write(one, a=10, b=20)
        write(other, **({"a": 11} if late == 1 else {"a": 11, "b": 21}))
        one.commit(["a", "b"])
        with pytest.raises(StorageError, match=OVERTAKEN):
            write(other, b=21) if late == 1 else other.commit(["a", "b"])
    assert numbers(folder) == [10, 20]
    # A shard that came too late stays until the next commit, which may remove it.
    assert (named(folder) < shards_of(folder)) == (late == 1)
    assert fill(folder, {"a": (10,), "b": (20,), "c": (30,)}, recipe="two") == ["c"]
    assert named(folder) == shards_of(folder)


def test_who_begins_after_a_commit_loses_nothing_to_whoever_cleans_up_after_it(
    folder: BucketPath, gcs: Cloud
):
    later: list[TableWriter] = []
    fill(folder, {"a": (1,)})
    with writing(folder, "two") as one, writing(folder, "two") as left_over:
        write(left_over, a=11)
        write(one, a=10)

        def begin_another(asked: Asked) -> None:
            # The first removal: the new manifest is there, and what was there before is about to go.
            if asked.method == "DELETE" and not later:
                gcs.fault = lambda asked: None
                gcs.lock.release()
                with writing(folder, "three") as writer:
                    write(writer, a=100)
                    later.append(writer)
                gcs.lock.acquire()

        gcs.fault = begin_another
        one.commit(["a"])
    later[0].commit(["a"])
    assert numbers(folder) == [100]
    assert named(folder) == shards_of(folder)


def test_what_another_run_has_finished_is_taken_over_and_who_commits_first_has_it(folder: BucketPath):
    with writing(folder) as first:
        write(first, a=1)
        with writing(folder) as second:
            assert second.has("a")
            write(second, b=2)
            write(first, b=2)
            second.commit(["a", "b"])
        with pytest.raises(StorageError, match=OVERTAKEN):
            first.commit(["a", "b"])
    assert numbers(folder) == [1, 2]
    assert fill(folder, {"a": (1,), "b": (2,)}) == []


def test_who_finds_everything_made_takes_nothing_from_one_at_work(folder: BucketPath):
    with writing(folder) as unfinished:
        write(unfinished, a=1)
    with writing(folder) as one, writing(folder) as other:
        one.commit(["a"])
        with writing(folder, "two") as later:
            write(later, a=10)
            with pytest.raises(StorageError, match=OVERTAKEN):
                other.commit(["a"])
            assert fill(folder, {"a": (1,)}) == []
            later.commit(["a"])
    assert numbers(folder) == [10]


def test_of_two_bundles_that_began_at_once_the_first_to_commit_stays(
    gcs: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    root = gcs.folder("store/b")
    gcs.objects.watch = seen = NothingHalf()
    put(root, "one", model="m", old="o")
    with pytest.raises(StorageError, match=OVERTAKEN), write_bundle(root, {"recipe": "three"}) as aside:
        (aside / "model").write_text("lost")
        put(root, "two", model="n")
    assert open_bundle(root).path("model").read_text() == "n"
    assert plain(root) == {"model": "n"}
    assert is_current(root, {"recipe": "two"})
    assert seen.faults == []
    assert list(tmp_path.iterdir()) == []  # what was written aside on this machine


def test_a_kill_between_commit_and_plain_names_is_put_right(gcs: Cloud):
    root = gcs.folder("store/b")
    put(root, "one", model="m", old="o")
    gcs.fault = lambda asked: 403 if "rewriteTo" in asked.path else None
    with pytest.raises(StorageError):
        put(root, "two", model="n")
    assert open_bundle(root).path("model").read_text() == "n"
    assert plain(root) == {"model": "m", "old": "o"}
    gcs.fault = lambda asked: None
    assert is_current(root, {"recipe": "two"})
    assert plain(root) == {"model": "n"}


def test_a_kill_between_commit_and_the_list_of_rejects_is_put_right(folder: BucketPath, gcs: Cloud):
    gcs.fault = lambda asked: 403 if asked.path.endswith("rejects.parquet") else None
    with pytest.raises(StorageError):
        fill(folder, {"a": (1,)})
    assert numbers(folder) == [1]
    gcs.fault = lambda asked: None
    assert "rejects.parquet" not in sizes(folder)
    assert fill(folder, {"a": (1,)}) == []
    assert "rejects.parquet" in sizes(folder)


def test_who_is_late_with_plain_names_leaves_those_of_a_later_bundle(gcs: Cloud):
    root = gcs.folder("store/b")
    put(root, "one", model="m")
    later: list[str] = []

    def overtake(asked: Asked) -> None:
        if "rewriteTo" in asked.path and not later:
            later.append("two")
            gcs.lock.release()
            put(root, "three", model="o")
            gcs.lock.acquire()

    gcs.fault = overtake
    put(root, "two", model="n")
    assert plain(root) == {"model": "o"}
    assert open_bundle(root).recipe == {"recipe": "three"}


def test_a_table_read_before_it_was_replaced_says_that_it_is_gone(folder: BucketPath):
    fill(folder, {"a": (1,)})
    table = open_table(folder)
    fill(folder, {"a": (10,)}, recipe="two")
    with pytest.raises(StorageError, match=r"is gone: another run has replaced the table.*Run again"):
        table.read()
