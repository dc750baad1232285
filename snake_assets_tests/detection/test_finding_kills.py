"""A finder's pass that is killed goes on where it was, and ends in the table of an undisturbed one."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.detection.marks import MarkFinder, image_table, marked
from snake_assets_tests.interrupting import Job, Runner, interruptible

pytestmark = [pytest.mark.daemon, pytest.mark.fault("a pass of the finder, killed at random")]

PHOTOS, SHARD_ROWS, KILLS = 20, 4, 5
SETTINGS = FindingSettings(batch_size=2)


def finding_job(images: str) -> Job:
    """Looks at photos, or dies before one of the steps by which bytes reach the disk.

    Returns how many photos were looked at, and how many such steps there were.
    """

    def job(store: Path, last: int) -> tuple[int, int]:
        steps, sync = count(), os.fsync

        def dying(descriptor: int) -> None:
            if next(steps) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(descriptor)

        os.fsync = dying
        finder = MarkFinder()
        find_snakes(open_table(Path(images)), store, finder, SETTINGS)
        return len(finder.shown), next(steps)

    return job


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    root = tmp_path_factory.mktemp("kills")
    photos = {
        f"{n:02}.jpg": marked(90, 80, (n / 40, 0.25, 0.75, 1.0) if n % 4 else None, n) for n in range(PHOTOS)
    }
    image_table(root, photos, SHARD_ROWS)
    with interruptible(finding_job, ["snake_assets.detection.detect"]) as runner:
        runner.prepare(str(root / "image_table"))
        yield runner


def test_a_run_killed_at_random_moments_loses_no_finished_shard(
    runner: Runner, tmp_path: Path, record_property: Callable[[str, int], None]
):
    looked, steps = runner.run(tmp_path / "whole", -1).returned
    assert looked == PHOTOS
    expected = open_table(tmp_path / "whole").read().to_pylist()
    draw, kept = random.Random(3), 0
    for number in range(KILLS):
        store = tmp_path / str(number)
        last = int(steps * (number + draw.random()) / KILLS)
        assert runner.run(store, last).exitcode == -signal.SIGKILL
        progress = store / "_progress.jsonl"
        done = progress.read_text().count('"file"') if progress.exists() else 0
        again, _ = runner.run(store, -1).returned
        assert again <= PHOTOS - SHARD_ROWS * done
        assert open_table(store).read().to_pylist() == expected
        kept += PHOTOS - again
    assert kept >= KILLS * SHARD_ROWS
    record_property("tried", KILLS)
