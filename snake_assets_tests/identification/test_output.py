"""A file of answers: whole at any moment, gone on with, and refused where it is of something else."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snake_assets.identification.errors import IdentificationError
from snake_assets.identification.output import AnswerFile

ENTRIES = [f"{number},answer" for number in range(6)]
MADE_BY = {"model": "m", "top_k": 5}


class Lines:
    head, first, between, tail = "key,answer", "\n", "\n", "\n"

    def key(self, entry: str) -> str:
        key, _ = entry.split(",")
        return key


class Array:
    head, first, between, tail = "[", "\n", ",\n", "\n]\n"

    def key(self, entry: str) -> str:
        return entry.strip('"').split(",")[0]


def write(file: Path, entries: list[str], layout: Lines | Array | None = None) -> set[str]:
    with AnswerFile(file, layout or Lines(), MADE_BY) as answers:
        before = set(answers.done)
        for entry in entries:
            answers.add([entry])
    return before


def test_a_second_call_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert write(file, ENTRIES[:3]) == set()
    assert write(file, ENTRIES) == {"0", "1", "2"}
    assert file.read_text() == "key,answer\n" + "\n".join(ENTRIES) + "\n"


def test_entries_of_a_document_stay_between_its_head_and_its_tail(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    write(file, ['"0"', '"1"'], Array())
    assert write(file, ['"2"'], Array()) == {"0", "1"}
    assert file.read_text() == '[\n"0",\n"1",\n"2"\n]\n'
    empty = tmp_path / "empty.json"
    write(empty, [], Array())
    assert empty.read_text() == "[\n]\n"


def test_what_a_kill_left_beside_the_file_is_taken_in(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    write(file, ENTRIES[:2])
    progress = tmp_path / "out.csv.progress"
    # One entry that is in the file too, one that is not, and one that was cut.
    progress.write_text(progress.read_text() + "1,answer\n2,answer\n3,ans")
    assert write(file, []) == {"0", "1", "2"}
    assert file.read_text().splitlines() == ["key,answer", *ENTRIES[:3]]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda file: AnswerFile(file, Lines(), {"model": "n", "top_k": 5}), "another model .'m', now 'n'"),
        (lambda file: AnswerFile(file, Lines(), {"model": "m", "top_k": 3}), "another top_k .5, now 3"),
        (lambda file: AnswerFile(file, Array(), MADE_BY), "was changed"),
    ],
)
def test_a_file_of_something_else_is_refused_by_name_and_left_as_it_is(
    tmp_path: Path, spoil: "type[AnswerFile]", told: str
) -> None:
    file = tmp_path / "out.csv"
    write(file, ENTRIES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(IdentificationError, match=told) as raised:
        spoil(file)  # type: ignore[call-arg, arg-type]
    assert str(file) in str(raised.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("mine")
    with pytest.raises(IdentificationError, match=r"no out\.csv\.progress beside it"):
        AnswerFile(file, Lines(), MADE_BY)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_two_calls_do_not_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    with AnswerFile(file, Lines(), MADE_BY), pytest.raises(IdentificationError, match="Another call"):
        AnswerFile(file, Lines(), MADE_BY)


WRITER = """
import sys
from pathlib import Path
from snake_assets.identification.output import AnswerFile
class Lines:
    head, first, between, tail = "key,answer", "\\n", "\\n", "\\n"
    def key(self, entry):
        return entry.split(",")[0]
with AnswerFile(Path(sys.argv[1]), Lines(), {}) as answers:
    print("begun", flush=True)
    for number in range(3000):
        answers.add([f"{number},answer"])
"""


def test_kills_lose_nothing_double_nothing_and_leave_whole_lines(tmp_path: Path) -> None:
    """Killed at any moment; the file has whole lines after each kill, and in the end every row once."""
    file, draw = tmp_path / "out.csv", random.Random(0)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, env={**os.environ}
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            until = time.monotonic() + draw.uniform(0, 0.08)
            while time.monotonic() < until and child.poll() is None:
                pass
            child.send_signal(signal.SIGKILL)
        if file.exists():
            lines = file.read_text().split("\n")
            assert lines[0] == "key,answer" and lines[-1] == ""
            assert all(line.endswith(",answer") for line in lines[1:-1])
    subprocess.run([sys.executable, "-c", WRITER, str(file)], check=True, capture_output=True)
    rows = file.read_text().splitlines()[1:]
    assert sorted(rows) == sorted(f"{number},answer" for number in range(3000))
