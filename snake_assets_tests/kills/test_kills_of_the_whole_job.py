"""The whole job, killed: a slice of `make kills`, and what it would not overlook."""

from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.storage.bundles import write_bundle
from snake_assets_tests.kills import stores
from snake_assets_tests.kills.trial import kill_and_tell
from snake_assets_tests.written import write


@pytest.mark.daemon
def test_nothing_is_lost_by_kills(tmp_path: Path):
    told = kill_and_tell(tmp_path, 3, seed=1)
    assert told["faults"] == []
    assert (told["kills"], told["ended_right"], told["lost"]) == (3, 3, 0)


def test_damage_and_what_is_made_again_are_noticed(tmp_path: Path):
    write(tmp_path / "numbers" / "val", [pa.table({"n": [0]}), pa.table({"n": [1]})])
    with write_bundle(tmp_path / "answers", {}) as aside:
        (aside / "answers.csv").write_text("1,2")
    versions, finished = stores.versions(tmp_path), stores.finished(tmp_path)
    assert versions.keys() == {"numbers/val", "answers"}
    shard = tmp_path / "numbers" / "val" / "part-00000.parquet"
    data = bytearray(shard.read_bytes())
    shard.unlink()
    data[20] ^= 1
    shard.write_bytes(data)
    (tmp_path / "answers" / "answers.csv").write_text("1,3")
    now = stores.versions(tmp_path)
    assert all(now[name].startswith("damaged") for name in versions)
    again = stores.finished(tmp_path)
    assert {key for key, stamp in again.items() if finished[key] != stamp} == {("numbers/val", "0")}
