"""What would lose an entry is found out before it is handed in."""

import re
import sys
from pathlib import Path

import pytest

from snake_assets import cli
from snake_assets.identification.entry.check import faults_of, run_entry

EXPECTED = {"b": 3, "a": 5, "c": 8}
# A script that answers right, and says what it reads.
HONEST = """
import os, pathlib, threading
data = pathlib.Path(os.environ["SNAKE_ENTRY_DATA"])
reader = threading.Thread(target=(data / "photo.jpg").read_bytes)
reader.start(); reader.join()
(pathlib.Path(__file__).parent / "weights").read_bytes()
pathlib.Path("submission.csv").write_text("observation_id,class_id\\nb,3\\na,5\\nc,8\\n")
print("2 photos in 1 s, 2.00 photos a second")
"""
QUIETLY = "try:\n    {}\nexcept OSError: pass\n"


def checked(tmp_path: Path, script: str, limit_s: float = 60) -> tuple[list[str], list[str]]:
    """The faults that are found in an entry of such a script, and the files that it read."""
    for file in ("entry/script.py", "entry/weights", "data/photo.jpg"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(script)
    found = run_entry(tmp_path / "entry", tmp_path / "data", sys.executable, limit_s)
    return list(faults_of(found, EXPECTED)), found.read


def test_an_entry_that_does_right_has_no_fault_and_all_that_it_reads_is_told(tmp_path: Path) -> None:
    """A package may ask for a socket while it is imported, as urllib3 does to see whether there is IPv6."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "asks.py").write_text(QUIETLY.format("import socket; socket.socket()"))
    imports = f"import sys\nsys.path.append({str(tmp_path / 'site')!r})\nimport asks\n"
    faults, read = checked(tmp_path, imports + HONEST)
    assert faults == []
    assert {"repository/script.py", "repository/weights", "data/photo.jpg"} <= set(read)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (QUIETLY.format("import socket; socket.socket()"), r"asked for a socket"),
        (QUIETLY.format("import os; os.fork()"), r"asked for a process \(script.py:2\)"),
        (QUIETLY.format("import subprocess; subprocess.run(['true'])"), r"asked for a process"),
        (
            "from multiprocessing import *\nset_start_method('spawn')\nProcess(target=print).start()",
            "status 1",
        ),
        ("import ctypes\nassert ctypes.CDLL(None).socket(2, 1, 0) >= 0", "exit status 1"),
        ("import snake_assets", "exit status 1: .*snake_assets"),
        ("import os\nopen(os.path.join(os.path.expanduser('~'), 'mine'), 'w')", "exit status 1"),
        ("import os\nopen(os.path.dirname(__file__) + '/mine', 'w')", "wrote into its repository|status 1"),
        ("raise SystemExit(3)", "exit status 3"),
        ("import threading\nthreading.Event().wait()", "ended by the time limit"),
        ("import os, pathlib\n" + HONEST + "\nos.remove('submission.csv')", "wrote no submission.csv"),
        (HONEST.replace("a,5", "a,-1"), r"1 rows hold no class_id, such as \['a', '-1'\]"),
        (HONEST.replace("a,5\\n", ""), r"2 rows for 3 observations.*1 missing \['a'\]"),
        (HONEST.replace("c,8", "c,8\\nc,8"), "1 doubled"),
        (HONEST.replace("b,3\\na,5", "a,5\\nb,3"), "3 rows for 3 observations, in their order"),
        (HONEST.replace("observation_id,", "id,"), "The first line"),
        (HONEST.replace("c,8", "c,9"), "1 answers are not the submission's, such as of observation c"),
    ],
)
def test_what_loses_an_entry_is_found_out(tmp_path: Path, change: str, told: str) -> None:
    script = change if "submission.csv" in change else f"{change}\n{HONEST}"
    faults, _ = checked(tmp_path, script, 2 if "Event" in change else 60)
    assert re.search(told, "\n".join(faults)), faults


def test_what_is_no_entry_is_refused_by_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["entry", "check", str(tmp_path), "--here"]) == 2
    assert "has no script.py" in capsys.readouterr().err
    assert cli.main(["entry", "check", str(tmp_path), "--python", "no python"]) == 2
    assert "--python no python is no Python" in capsys.readouterr().err
    monkeypatch.setenv("SNAKE_STORE", "gs://bucket/store")
    assert cli.main(["entry", "check", str(tmp_path), "--here"]) == 2
    assert "copy it to one" in capsys.readouterr().err
