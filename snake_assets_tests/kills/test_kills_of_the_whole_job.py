"""The whole job, killed: a slice of `make kills`, and what it would not overlook."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.storage.bundles import write_bundle
from snake_assets.storage.tables.writer import write_table
from snake_assets_tests.kills import stores
from snake_assets_tests.kills.trial import kill_and_tell

SCHEMA = pa.schema([("n", pa.int64())])


@pytest.mark.daemon
def test_nothing_is_lost_by_kills(tmp_path: Path):
    told = kill_and_tell(tmp_path, 3, seed=1)
    assert told["faults"] == []
    assert (told["kills"], told["ended_right"], told["lost"]) == (3, 3, 0)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a table of two shards, a third that is finished, and a bundle."""
    with write_table(tmp_path / "numbers" / "val", "numbers", "val", SCHEMA, {}) as writer:
        for number, unit in enumerate("ab"):
            writer.write(unit, [pa.RecordBatch.from_pylist([{"n": number}], schema=SCHEMA)])
        writer.commit(["a", "b"])
    with write_table(tmp_path / "numbers" / "val", "numbers", "val", SCHEMA, {}) as writer:
        writer.write("c", [pa.RecordBatch.from_pylist([{"n": 3}], schema=SCHEMA)])
    with write_bundle(tmp_path / "answers", {}) as aside:
        (aside / "answers.csv").write_text("1,2")
    return tmp_path


def test_what_the_store_holds_is_told(store: Path):
    assert stores.versions(store).keys() == {"numbers/val", "answers"}
    assert stores.units(store) == {"numbers/val": {"a", "b"}}
    assert {unit for _, unit in stores.finished(store)} == {"a", "b", "c"}
    assert stores.plain_files(store) == {"answers/answers.csv": hashlib.sha256(b"1,2").hexdigest()}
    assert stores.strays(store) == ["numbers/val/_progress.jsonl"]


def test_damage_and_what_is_made_again_are_noticed(store: Path):
    versions, finished = stores.versions(store), stores.finished(store)
    shard = store / "numbers" / "val" / "part-00000.parquet"
    data = bytearray(shard.read_bytes())
    shard.unlink()
    data[20] ^= 1
    shard.write_bytes(data)
    (store / "answers" / "answers.csv").write_text("1,3")
    now = stores.versions(store)
    assert all(now[name].startswith("damaged") and now[name] != versions[name] for name in versions)
    assert {key for key, stamp in stores.finished(store).items() if finished[key] != stamp} == {
        ("numbers/val", "a")
    }
