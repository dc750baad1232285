"""Nothing is reached beyond this machine, and nothing reported; servers and pages: see browser/test_ui.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snake_assets_tests.serving import PROJECT
from snake_assets_tests.watching import Watch

pytestmark = pytest.mark.daemon

BEYOND = "192.0.2.1"  # for documentation; nobody has it (RFC 5737)
AGPL = ("ultralytics", "ultralytics_platform", "thop")


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "watch")


def own_environment() -> dict[str, str]:
    """This one without what would switch reporting off, or name places."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SNAKE_", "DAGSTER_", "HF_", "YOLO_")) and name != "DO_NOT_TRACK"
    }


def test_the_watch_sees_who_reaches_out(watch: Watch):
    reach_out = (
        "import socket; s = socket.socket(); s.setblocking(False); "
        f"s.connect_ex(('{BEYOND}', 80)); s.connect_ex(('127.0.0.1', 9))"
    )
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {reach_out!r}])"
    subprocess.run([sys.executable, "-c", child], env=own_environment() | watch.environment, check=True)
    assert [line.split(" by ")[0] for line in watch.reached] == [f"socket.connect {BEYOND}"]


def test_who_loads_the_code_reports_nothing_later():
    # Dagster gathers what it would send in files, and looks here before it sends them.
    told = (
        "import snake_assets, os; print(os.environ['DAGSTER_DISABLE_TELEMETRY'], os.environ['DO_NOT_TRACK'])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", told], env=own_environment(), capture_output=True, text=True, check=True
    )
    assert asked.stdout.split() == ["1", "1"]


def test_a_whole_run_reaches_nothing_and_loads_nothing_under_the_agpl(
    watch: Watch, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    (tmp_path / "home").mkdir()
    # docs/licences.md promises that nothing under the AGPL is loaded unless it is asked for.
    for name in AGPL:
        (tmp_path / "shadows" / name).mkdir(parents=True)
        init = tmp_path / "shadows" / name / "__init__.py"
        init.write_text("raise AssertionError('nobody asked for this')")
    environment = own_environment() | {
        **watch.environment,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "shadows"), watch.environment["PYTHONPATH"]]),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "SNAKE_DATA": str(small_set),
        "SNAKE_STORE": str(tmp_path / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
    }
    command = ["dagster", "job", "execute", "-m", "snake_assets_tests.quick", "-j", "snakeclef"]
    run = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert (tmp_path / "store" / "submission" / "submission.csv").is_file()
    assert watch.reached == []
