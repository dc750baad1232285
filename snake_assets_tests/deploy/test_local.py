"""deploy.local: what it starts, what it says when it cannot, and a backfill that is disturbed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from deploy.local.processes import Process
from deploy.local.settings import PROJECT, LocalError, read_settings
from snake_assets_tests.deployment import Deployment
from snake_assets_tests.places import SPLITS
from snake_assets_tests.serving import Servers, free_port

# All assets are made in test_daemon.py. These load no model.
LIGHT = ("raw_images", "image_table", "yolo_crops")
SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


class Local:
    """The command, in an environment of its own."""

    def __init__(self, home: Path, database: Path, settings: dict[str, str]) -> None:
        self.home = home
        self.port = free_port()
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SNAKE_", "DAGSTER_", "PG"))
        }
        self.environment = {
            **kept,
            "PYTHONPATH": str(PROJECT),
            "DAGSTER_HOME": str(home),
            "SNAKE_DATABASE_FOLDER": str(database),
            "SNAKE_PORT": str(self.port),
            "SNAKE_CODE_PORT": str(free_port()),
            "PGPORT": str(free_port()),
            "PGPASSWORD": "not/to@be%guessed",
            **settings,
        }

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit status and what it wrote."""
        command = [sys.executable, "-m", "deploy.local", *arguments]
        ended = subprocess.run(
            command, check=False, cwd=PROJECT, env=self.environment, capture_output=True, text=True
        )
        return ended.returncode, ended.stdout + ended.stderr

    def do(self, *arguments: str) -> str:
        """What it wrote; it has to succeed."""
        status, told = self.run(*arguments)
        assert status == 0, told
        return told

    def left(self) -> list[list[str]]:
        """Command lines of processes that were started with this home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DAGSTER_HOME") == str(self.home):
                    found.append(process.cmdline())
            except psutil.Error:
                continue
        return found


@pytest.fixture
def local(small_set: Path, demo_backbone: Path, tmp_path: Path) -> Iterator[Local]:
    """Nothing runs yet; whatever was started is stopped at the end."""
    settings = {
        "SNAKE_DATA": str(small_set),
        "SNAKE_STORE": str(tmp_path / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
        "SNAKE_DEVICE": "cpu",
    }
    # PostgreSQL's user has to get there, and pytest's own folders are closed to others.
    database = Path(tempfile.mkdtemp(prefix="snake_assets_postgres_"))
    database.chmod(0o755)
    local = Local(tmp_path / "home", database, settings)
    try:
        yield local
    finally:
        local.run("stop")
        shutil.rmtree(database)


@pytest.mark.daemon
def test_a_backfill_survives_restarts_of_the_daemon_and_of_the_database(
    local: Local, monkeypatch: pytest.MonkeyPatch
):
    status, told = local.run("start")
    assert status == 1 and "start database" in told
    local.do("start", "database")
    assert local.do("start").count(": started, healthy") == 3
    assert local.do("start").count(": ran already, healthy") == 3
    assert local.do("status").count(", healthy") == 3

    for name, value in read_settings(local.environment).variables().items():
        monkeypatch.setenv(name, value)
    servers = Servers(local.home, f"http://127.0.0.1:{local.port}", local.environment)
    with dg.DagsterInstance.from_config(str(local.home)) as instance:
        assert "Postgres" in instance.event_log_storage.__class__.__name__
        deployment = Deployment(servers, instance, Path(local.environment["SNAKE_STORE"]))
        backfill = deployment.backfill(dg.AssetSelection.assets(*LIGHT))
        deployment.until_tables(1)
        local.do("restart", "daemon")
        assert deployment.until_backfill_ends(backfill) == "COMPLETED_SUCCESS"
        assert "database: stopped" in local.do("restart", "database")

        once = Counter((table, split) for table in LIGHT for split in SPLITS)
        assert deployment.materializations() == once
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}

    assert local.do("status").count(", healthy") == 3
    assert local.do("stop").count(": stopped") == 4
    status, told = local.run("status")
    assert status == 1 and told.count("does not run") == 3
    assert local.left() == []


@pytest.mark.daemon
def test_a_port_that_is_taken_is_named(local: Local):
    local.do("start", "database")
    holder = subprocess.Popen(
        [sys.executable, "-m", "http.server", local.environment["SNAKE_CODE_PORT"], "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert holder.stdout and b"Serving" in holder.stdout.readline()
        status, told = local.run("start")
    finally:
        holder.kill()
        holder.communicate()
    assert status == 1 and "SNAKE_CODE_PORT" in told and local.left() == []


def test_there_is_no_default_password():
    with pytest.raises(LocalError, match="PGPASSWORD is not set"):
        read_settings({})


def test_settings_do_not_show_the_password():
    settings = read_settings({"PGPASSWORD": "not/to@be%guessed"})
    assert "guessed" not in repr(settings)
    assert settings.variables()["PGPASSWORD"] == "not/to@be%guessed"
    assert (settings.database.host, settings.port, settings.code_port) == ("127.0.0.1", 3000, 4000)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "\uff13"])
def test_what_is_no_port_is_refused_by_name(port: str):
    with pytest.raises(LocalError, match=f"SNAKE_PORT='{port}'"):
        read_settings({"PGPASSWORD": "x", "SNAKE_PORT": port})


def test_a_process_is_found_again_and_ended(tmp_path: Path):
    Process("sleeper", tmp_path).start(SLEEP, tmp_path)
    found = Process("sleeper", tmp_path).found()
    assert found
    assert Process("sleeper", tmp_path).stop() and not found.is_running()
    assert Process("sleeper", tmp_path).found() is None
    assert not Process("sleeper", tmp_path).stop()


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path):
    sleeper = Process("sleeper", tmp_path)
    sleeper.start(SLEEP, tmp_path)
    found = sleeper.found()
    assert found
    noted = tmp_path / "sleeper.json"
    told = json.loads(noted.read_text())
    noted.write_text(json.dumps({**told, "created": told["created"] - 60}))
    assert not sleeper.stop() and found.is_running()
    found.kill()
    found.wait()


def test_what_is_remembered_differs_from_that_of_dev_only_in_its_place():
    dev, local = (
        yaml.safe_load((PROJECT / "deploy" / name / "dagster.yaml").read_text()) for name in ("dev", "local")
    )
    assert local.pop("storage").keys() == {"postgres"}
    assert local == dev
