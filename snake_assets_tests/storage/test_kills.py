"""Killed before any single step that reaches the disk, a table is the old one or the new one."""

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.local_files import only_writer
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets_tests.interrupting import Job, Runner, interruptible
from snake_assets_tests.storage.test_everywhere import SCHEMA, fill

OLD = {"a": (1, 2), "b": (3,)}
NEW = {"a": (1, 2), "c": (4, 5), "d": ()}
STEPS = ("fsync", "link", "mkdir", "replace", "rmdir", "unlink")
KILLED = -signal.SIGKILL


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written again."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def write_pair(folder: Path, text: str) -> None:
    with write_bundle(folder, {"text": text}) as aside:
        (aside / "one").write_text(text)
        (aside / "two").write_text(text)


def jobs() -> Job:
    """Writes the old or the new table, or a bundle, and dies at a step of the file system."""

    def job(write: Callable[..., Any], arguments: tuple[Any, ...], last: int) -> None:
        steps = count()

        def dying(name: str) -> Callable[..., Any]:
            real = getattr(os, name)

            def call(*given: Any, **named: Any) -> Any:
                if next(steps) == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **named)

            return call

        for name in STEPS:
            setattr(os, name, dying(name))
        write(*arguments)

    with TemporaryDirectory() as folder:
        fill(Path(folder), NEW)  # what pyarrow imports on first use is there for every run
    return job


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with interruptible(jobs) as runner:
        runner.prepare()
        yield runner


KillEverywhere = Callable[..., Iterator[Path]]


@pytest.fixture
def kill_everywhere(
    runner: Runner, tmp_path: Path, record_property: Callable[[str, int], None]
) -> KillEverywhere:
    """A folder for each kill, and one for the run that has no step left to be killed at."""

    def killed(start: Callable[[Path], object], write: Callable[..., Any], new: object) -> Iterator[Path]:
        step, end = 0, KILLED
        while end == KILLED:
            folder = tmp_path / str(step)
            start(folder)
            end = runner.run(write, (folder, new), step).exitcode
            yield folder
            step += 1
        assert end == 0
        assert step > 8
        record_property("tried", step - 1)

    return killed


@pytest.mark.fault("a table, its writer killed at each of its steps")
def test_a_table_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed(kill_everywhere: KillEverywhere):
    seen = set()
    for folder in kill_everywhere(lambda folder: fill(folder, OLD), fill, NEW):
        numbers = tuple(open_table(folder).read()["n"].to_pylist())
        seen.add(numbers)
        with write_table(folder, "numbers", "val", SCHEMA, {"recipe": "one"}) as writer:
            finished = {shard.unit: shard for shard in writer.shards}
        stamps = {shard.file: stamp(folder / shard.file) for shard in finished.values()}
        assert "a" in finished
        assert fill(folder, NEW) == [unit for unit in NEW if unit not in finished]
        table = open_table(folder)
        assert table.read()["n"].to_pylist() == [1, 2, 4, 5]
        named = {shard.file for shard in table.manifest.shards}
        for file in stamps.keys() & named:
            assert stamp(folder / file) == stamps[file]
        assert {path.name for path in folder.iterdir()} == named | {
            "_lock",
            "_manifest.json",
            "rejects.parquet",
        }
    assert seen == {(1, 2, 3), (1, 2, 4, 5)}


@pytest.mark.fault("a table, its writer killed at each of its steps")
def test_a_first_table_is_whole_or_not_there_wherever_its_writer_is_killed(kill_everywhere: KillEverywhere):
    finished = 0
    for folder in kill_everywhere(lambda folder: None, fill, NEW):
        there = (folder / "_manifest.json").exists()
        written = fill(folder, NEW)
        finished += len(NEW) - len(written)
        assert not (there and written)
        assert open_table(folder).read()["n"].to_pylist() == [1, 2, 4, 5]
    assert finished > 0


def texts_of(folder: Path) -> set[str]:
    """What the files of a bundle say, and its recipe."""
    bundle = open_bundle(folder)
    return {bundle.recipe["text"], *(bundle.path(name).read_text() for name in bundle.files)}


@pytest.mark.fault("a bundle, its writer killed at each of its steps")
def test_a_bundle_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed(
    kill_everywhere: KillEverywhere,
):
    seen = set()
    for folder in kill_everywhere(lambda folder: write_pair(folder, "old"), write_pair, "new"):
        (text,) = texts_of(folder)
        seen.add(text)
        if not is_current(folder, {"text": "new"}):
            write_pair(folder, "new")
        assert texts_of(folder) == {"new"}
        assert {path.name for path in folder.iterdir()} == {
            "_lock", "_manifest.json", open_bundle(folder).inside.name, "one", "two",
        }  # fmt: skip
        assert {(folder / name).read_text() for name in ("one", "two")} == {"new"}
    assert seen == {"old", "new"}


def add_a_line(folder: Path, line: str) -> None:
    """A bundle that goes on from what people find of the one before, as the history of scores does."""
    with write_bundle(folder, {"text": line}) as aside:
        before = (folder / "lines").read_text() if (folder / "lines").exists() else ""
        (aside / "lines").write_text(before + line)


@pytest.mark.fault("a bundle, its writer killed at each of its steps")
def test_a_bundle_that_goes_on_from_the_one_before_loses_nothing_of_it(kill_everywhere: KillEverywhere):
    for folder in kill_everywhere(lambda folder: add_a_line(folder, "a"), add_a_line, "b"):
        committed = open_bundle(folder).path("lines").read_text()
        add_a_line(folder, "c")
        assert (folder / "lines").read_text() == committed + "c"


@pytest.mark.fault("the lock of a writer that was killed")
def test_a_kill_frees_the_lock_although_a_helper_lives_on(runner: Runner, tmp_path: Path):
    end = runner.run(die_with_a_helper, (tmp_path / "table", tmp_path / "alive"), -1)
    assert end.exitcode == KILLED
    helper = int((tmp_path / "alive").read_text())
    try:
        os.kill(helper, 0)
        with only_writer(tmp_path / "table"):
            pass
    finally:
        os.kill(helper, signal.SIGKILL)


def die_with_a_helper(folder: Path, helper: Path) -> None:
    """Be killed while holding a folder's lock, and leave a started program behind."""
    import subprocess
    import sys

    with only_writer(folder):
        command = [sys.executable, "-c", "print(1, flush=True); input()"]
        pipe = subprocess.PIPE
        started = subprocess.Popen(command, stdin=pipe, stdout=pipe, close_fds=False)
        # Until it runs its own program it may still have the files of this one.
        assert started.stdout and started.stdout.readline()
        helper.write_text(str(started.pid))
        os.kill(os.getpid(), signal.SIGKILL)
