"""`snake-assets predict` as a user calls it, and the file of answers that it goes on with."""

import csv
import json
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.predict import rows_after_kills
from snake_assets import cli
from snake_assets.identification import IdentificationError
from snake_assets.identification.command import answer_file
from snake_assets.identification.exports import Layout
from snake_assets.storage.fingerprints import Json
from snake_assets_tests.fuzz.mutations import mutated
from snake_assets_tests.fuzz.photo_seeds import photo_seeds
from snake_assets_tests.identification.conftest import Made


def rows_of(file: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(file.open(newline=""))]


@pytest.fixture
def folder(made: Made, tmp_path: Path) -> Path:
    """Twelve photos, one of them none."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, (path, _) in enumerate(made.photos[:11]):
        (photos / f"{number:02}{path.suffix}").write_bytes(path.read_bytes())
    (photos / "none.jpg").write_bytes(b"none")
    return photos


def predict(made: Made, *arguments: object) -> int:
    return cli.main(["predict", *map(str, arguments), "--model", str(made.folder), "--device", "cpu"])


def test_every_photo_of_a_folder_has_a_row_and_a_second_call_computes_nothing(
    made: Made, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert predict(made, folder, "-o", out) == 0
    rows = rows_of(out)
    assert [row["path"] for row in rows if row["level"] == "unreadable"] == [f"{folder}/none.jpg"]
    assert {row["path"] for row in rows} == {str(path) for path in folder.iterdir()}
    assert predict(made, folder, "-o", out) == 0
    assert rows_of(out) == rows
    assert "has answers for 12 of 12 photos" in capsys.readouterr().err


def test_without_a_file_and_a_network_answers_go_to_stdout(
    made: Made, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("There is no network.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert predict(made, folder / "00.png", "--format", "jsonl", "--top-k", 2, "--country", "IN") == 0
    told = capsys.readouterr()
    (answer,) = map(json.loads, told.out.splitlines())
    assert len(answer["top_k"]) == 2 and answer["level"] != "unreadable"
    assert "never recorded in IN" in told.err


@pytest.mark.parametrize("kind", ["jsonl", "megadetector", "dwc"])
def test_other_formats_are_gone_on_with_as_well(made: Made, folder: Path, tmp_path: Path, kind: str) -> None:
    at_once, in_two = tmp_path / "at_once", tmp_path / "in_two"
    assert predict(made, folder, "-o", at_once, "--format", kind) == 0
    assert predict(made, *sorted(folder.iterdir())[:5], "-o", in_two, "--format", kind) == 0
    assert predict(made, folder, "-o", in_two, "--format", kind) == 0
    assert in_two.read_text() == at_once.read_text()


def test_a_call_that_cannot_be_done_says_why_and_returns_2(
    made: Made, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    predict(made, folder / "00.png", "-o", out)
    (tmp_path / "species.txt").write_text("Naja imaginaria\n")
    capsys.readouterr()
    for arguments, told in [
        ([tmp_path / "nowhere"], "does not exist"),
        ([folder, "-o", out, "--top-k", 3], f"{out} is of another top_k"),
        ([folder, "-o", tmp_path / "no" / "out.csv"], "No such file"),
        ([folder, "--country", "XX"], "--country XX"),
        ([folder, "--species", tmp_path / "species.txt"], "Naja imaginaria"),
        ([folder, "--species", tmp_path / "none.txt"], "none.txt: No such file"),
    ]:
        assert predict(made, *arguments) == 2
        assert told in capsys.readouterr().err
    assert cli.main(["predict", str(folder), "--model", str(folder)]) == 2
    assert "is no package" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["predict", str(folder), "--top-k", "0"])


def test_the_page_of_the_docs_runs_as_it_stands(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path("docs/predict.md").read_text()
    monkeypatch.setenv("SNAKE_STORE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made.folder, "model_package")
    Path("photos").mkdir()
    for number, (path, _) in enumerate(made.photos[:3]):
        shutil.copyfile(path, f"photos/{number}.png")
    (call,) = re.findall("^snake-assets (.*)$", page, re.MULTILINE)
    assert cli.main(shlex.split(call)) == 0
    assert len(rows_of(tmp_path / "answers.csv")) == 3
    (example,) = re.findall("```python\n(.*?)```", page, re.DOTALL)
    exec(example, {})
    assert "photos/1.png" in capsys.readouterr().out


def test_it_does_without_dagster() -> None:
    loaded = (
        "import sys, snake_assets.cli, snake_assets.identification.command; print('dagster' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_hostile_files_are_rows(made: Made, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    seeds, draw = [seed.data for seed in photo_seeds()], random.Random(0)
    for number in range(200):
        (photos / f"{number}.jpg").write_bytes(mutated(seeds[number % len(seeds)], draw, seeds))
    out = tmp_path / "out.csv"
    assert predict(made, photos, "-o", out) == 0
    assert len(rows_of(out)) == 200


ENTRIES = [f"{number},answer" for number in range(6)]
MADE_BY = {"model": "m", "top_k": 5}


LINES = Layout("key,answer\n", lambda answers: [], lambda entry: entry.split(",")[0])
ARRAY = Layout("[\n", lambda answers: [], lambda entry: entry, between=",\n", tail="\n]\n")


def write(file: Path, entries: list[str], layout: Layout = LINES) -> set[str]:
    with answer_file(file, layout, MADE_BY) as answers:
        before = set(answers.done)
        for entry in entries:
            answers.add([entry])
    return before


def test_rows_that_were_taken_out_are_computed_again(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    write(file, ENTRIES)
    file.write_text("key,answer\n3,answer\n")
    assert write(file, ENTRIES[:4]) == {"3"}
    assert file.read_text().splitlines()[1:] == [ENTRIES[3], *ENTRIES[:3]]


@pytest.mark.parametrize(
    ("layout", "made_by", "told"),
    [
        (LINES, {"model": "n", "top_k": 5}, "another model .'m', now 'n'"),
        (LINES, {"model": "m", "top_k": 3}, "another top_k .5, now 3"),
        (ARRAY, MADE_BY, "was changed"),
    ],
)
def test_a_file_of_something_else_is_refused_by_name_and_left_as_it_is(
    tmp_path: Path, layout: Layout, made_by: dict[str, Json], told: str
) -> None:
    file = tmp_path / "out.csv"
    write(file, ENTRIES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(IdentificationError, match=told) as raised, answer_file(file, layout, made_by):
        pass
    assert str(file) in str(raised.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(IdentificationError, match=r"no mine\.csv\.options\.json beside it"):
        write(tmp_path / "mine.csv", ENTRIES)
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_two_calls_do_not_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    with answer_file(file, LINES, MADE_BY), pytest.raises(IdentificationError, match="Another call"):
        write(file, ENTRIES)


@pytest.mark.daemon
def test_kills_lose_nothing_double_nothing_and_leave_whole_lines(made: Made, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(120):
        path, _ = made.photos[number % len(made.photos)]
        (photos / f"{number:03}.png").write_bytes(path.read_bytes())
    found = rows_after_kills(made.folder, photos, tmp_path, 5)
    assert found == {"kills": 5, "lost": 0, "doubled": 0, "cut": 0}
