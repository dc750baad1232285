"""The `dagster` command takes a workspace file everywhere, and is Dagster's own otherwise."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import dagster as dg
import pytest

from snake_assets import command_line
from snake_assets.command_line import WorkspaceError, without_workspace
from snake_assets_tests.defs.automation.test_sensors import run_of_process

WORKSPACE = """
load_from:
  - python_module:
      module_name: a.b
      working_directory: src
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace.yaml"
    path.write_text(WORKSPACE)
    return path


@pytest.mark.parametrize("style", [["-w", "{}"], ["-w{}"], ["--workspace", "{}"], ["--workspace={}"]])
def test_a_workspace_becomes_its_module(workspace: Path, style: list[str]):
    options = [part.format(workspace) for part in style]
    given = ["job", "execute", *options, "-j", "snakeclef", "--tags", '{"a": "b"}']
    folder = str(workspace.parent / "src")
    assert without_workspace(given) == [
        "job", "execute", "-j", "snakeclef", "--tags", '{"a": "b"}', "-m", "a.b", "-d", folder,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        ["dev", "-w", "workspace.yaml"],
        ["job", "launch", "-w", "workspace.yaml", "-j", "x"],
        ["job", "execute", "-m", "a.b", "-j", "x"],
        ["job", "execute", "-f", "defs.py", "-j", "x"],
        ["asset", "materialize", "--help"],
        ["--version"],
        [],
    ],
)
def test_everything_else_is_passed_on_as_it_was_typed(given: list[str]):
    assert without_workspace(given) == given


def test_the_workspace_of_the_working_folder_is_taken(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workspace.parent)
    given = ["asset", "materialize", "--select", "x", "--partition", "val"]
    assert without_workspace(given) == [*given, "-m", "a.b", "-d", "src"]
    assert without_workspace([*given, "-m", "c"]) == [*given, "-m", "c"]
    monkeypatch.setenv("DAGSTER_MODULE_NAME", "c")
    assert without_workspace(given) == given


def test_a_module_may_be_named_in_short(tmp_path: Path):
    (tmp_path / "w.yaml").write_text("load_from:\n  - python_module: a.b\n")
    assert without_workspace(["asset", "list", "-w", str(tmp_path / "w.yaml")])[2:] == [
        "-m", "a.b", "-d", str(tmp_path),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    ["", "load_from: []", "load_from:\n - python_file: a.py", "a: [", WORKSPACE + "  - python_module: c"],
)
def test_a_workspace_of_no_or_several_modules_is_refused(tmp_path: Path, content: str):
    (tmp_path / "w.yaml").write_text(content)
    with pytest.raises(WorkspaceError, match=r"w\.yaml"):
        without_workspace(["job", "execute", "-w", str(tmp_path / "w.yaml")])


def test_a_missing_workspace_is_named():
    with pytest.raises(WorkspaceError, match=r"nowhere\.yaml"):
        without_workspace(["job", "execute", "-w", "nowhere.yaml"])


def test_a_run_that_was_killed_is_ended_before_another_starts(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    instance.wipe()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run = run_of_process(instance, gone.pid)
    monkeypatch.setenv("DAGSTER_HOME", instance.root_directory)

    monkeypatch.setattr(command_line, "distribution", MagicMock())

    def dagster(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["dagster", *arguments])
        command_line.main()

    dagster("job", "list", "-m", "no.such.module")
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
    dagster("job", "execute", "-m", "no.such.module")
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert f"Run {run.run_id} was killed earlier" in capsys.readouterr().err
