"""Photos arrive while what looks for them and what answers them is killed; a slice of `kills --inbox`.

Here the sensor, what the daemon makes of its answer, and the run are one process: a kill costs a second.
"""

import random
import shutil
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.storage.tables.table import open_table
from snake_assets_tests.identification.conftest import make_package, snake
from snake_assets_tests.interrupting import Job, interruptible
from snake_assets_tests.kills.whole_job import PRELOAD

KILLS, PHOTOS = 6, 18


def deployment(home: Path, inbox: Path, store: Path) -> Job:
    """One look at the inbox, and the runs that it asks for."""
    import torch

    from snake_assets.defs.automation.triggers import orphaned_runs
    from snake_assets_tests.defs.automation.test_inbox import Deployment

    torch.set_num_threads(1)  # the threads of a pool would not live on in what is forked
    cursor = home / "cursor"

    def look() -> None:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            with dg.build_sensor_context(instance) as context:
                orphaned_runs(context)
            here = Deployment(instance, inbox, store, cursor.read_text() if cursor.exists() else None)
            here.look()
            aside = cursor.with_suffix(".new")
            aside.write_text(str(here.cursor))
            aside.replace(cursor)
            for batch in here.asked:
                here.run(batch)

    return look


@pytest.mark.daemon
def test_each_content_is_answered_once_whatever_is_killed(tmp_path: Path, demo_backbone: Path):
    draw, inbox, store = random.Random(1), tmp_path / "inbox", tmp_path / "store"
    inbox.mkdir()
    (home := tmp_path / "home").mkdir()
    made = make_package(tmp_path, demo_backbone)
    shutil.copytree(made.folder, store / "model_package")
    preload = (*PRELOAD, "snake_assets_tests.defs.automation.test_inbox")
    with interruptible(deployment, preload) as runner:
        runner.prepare(home, inbox, store)
        (inbox / "first.png").write_bytes(snake(0, 999))
        took = [runner.run().seconds for _ in range(2)][-1]
        killed = 0
        for number in range(PHOTOS):
            source = number // 4 if number % 4 == 3 else number  # one in four is a copy
            (inbox / f"{number}.png").write_bytes(snake(source % 4, source))
            if number % (PHOTOS // KILLS) == 0:
                killed += runner.run(kill_after=draw.uniform(0, 1.2 * took)).exitcode != 0
        for _ in range(3):
            assert runner.run().exitcode == 0
    tables = [open_table(path.parent) for path in store.glob("identifications/*/_manifest.json")]
    answered = Counter(one for table in tables for one in table.read(["sha256"])["sha256"].to_pylist())
    contents = {path.read_bytes() for path in inbox.iterdir()}
    assert len(answered) == len(contents) < PHOTOS and set(answered.values()) == {1}
    assert killed > KILLS / 2
