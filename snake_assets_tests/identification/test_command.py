"""`snake-assets predict` as a user calls it."""

import csv
import json
import random
from pathlib import Path

import pytest

from snake_assets import cli
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


def test_without_a_file_answers_go_to_stdout(
    made: Made, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(made, folder / "00.png", "--format", "jsonl", "--top-k", "2") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert len(json.loads(line)["top_k"]) == 2


@pytest.mark.parametrize("kind", ["jsonl", "megadetector", "dwc"])
def test_other_formats_are_gone_on_with_as_well(made: Made, folder: Path, tmp_path: Path, kind: str) -> None:
    at_once, in_two = tmp_path / "at_once", tmp_path / "in_two"
    assert predict(made, folder, "-o", at_once, "--format", kind) == 0
    assert predict(made, *sorted(folder.iterdir())[:5], "-o", in_two, "--format", kind) == 0
    assert predict(made, folder, "-o", in_two, "--format", kind) == 0
    assert in_two.read_text() == at_once.read_text()


def test_a_country_says_what_it_did(made: Made, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(made, folder / "00.png", "--country", "IN") == 0
    assert "never recorded in IN" in capsys.readouterr().err


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


def test_hostile_files_are_rows(made: Made, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    seeds, draw = [seed.data for seed in photo_seeds()], random.Random(0)
    for number in range(200):
        (photos / f"{number}.jpg").write_bytes(mutated(seeds[number % len(seeds)], draw, seeds))
    out = tmp_path / "out.csv"
    assert predict(made, photos, "-o", out) == 0
    assert len(rows_of(out)) == 200
