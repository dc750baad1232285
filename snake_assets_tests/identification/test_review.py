"""`snake-assets review`: photos that are asked for, named by people, and photos of train in the end."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from snake_assets import cli
from snake_assets.identification.review import choose, read_answers
from snake_assets.snakeclef.metadata import VENOM_LIST, PhotoRow, read_metadata, read_venom_list
from snake_assets_tests.identification.conftest import Made


@pytest.fixture
def data(small_set: Path, tmp_path: Path) -> Path:
    """Raw data that may be changed."""
    return Path(shutil.copytree(small_set, tmp_path / "data"))


def train_of(data: Path) -> list[PhotoRow]:
    return read_metadata(data, "train", read_venom_list(data / "metadata" / VENOM_LIST))


def review(*arguments: object) -> int:
    return cli.main(["review", *map(str, arguments)])


def rows_of(file: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(file.open(newline="", encoding="utf-8-sig"))]


def filled(table: Path, fill: Callable[[int], dict[str, str]], mark: str = ",") -> Path:
    """A table with some cells of each row set, as a spreadsheet saves it."""
    rows = [row | fill(number) for number, row in enumerate(rows_of(table))]
    with table.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, [*rows[0]], delimiter=mark)
        writer.writeheader()
        writer.writerows(rows)
    return table


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_photos_that_are_asked_for_come_back_as_photos_of_train(
    made: Made, data: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for path, _ in made.photos:
        shutil.copy(path, inbox / path.name)
    shutil.copy(made.photos[0][0], inbox / "copy.png")
    (inbox / "none.jpg").write_bytes(b"none")
    model = ("--model", made.folder, "--device", "cpu")
    answers, table = tmp_path / f"answers.{kind}", tmp_path / "review.csv"
    assert cli.main(["predict", str(inbox), "-o", str(answers), "--format", kind, *map(str, model)]) == 0
    assert review(answers, "-o", table, "--data", data, *model) == 0
    rows = rows_of(table)
    names = [Path(row["path"]).name for row in rows]
    # Copies are asked for once, and what cannot be read not at all.
    assert len({*names, "copy.png", "00.png"}) == len(names) + 1 and "none.jpg" not in names
    assert all(row["why"] and row["candidates"] and not row["species"] + row["class_id"] for row in rows)
    tasks = json.loads(table.with_suffix(".json").read_text())
    assert [task["data"]["path"] for task in tasks] == [row["path"] for row in rows]
    assert {choice["value"] for choice in tasks[0]["data"]["choices"]} >= set(
        tasks[0]["predictions"][0]["result"][0]["value"]["choices"]
    )
    assert review(answers, "-o", table, *model) == 2 and "there already" in capsys.readouterr().err

    before = train_of(data)
    known = next(row for row in before if row.binomial_name)
    new = next(one for one in read_venom_list(data / "metadata" / VENOM_LIST) if one != known.class_id)
    filled(table, lambda number: {"species": f" {known.binomial_name} ".upper()} if number == 0 else {}, ";")
    result = {"type": "choices", "value": {"choices": [known.binomial_name]}}
    tasks[1]["annotations"] = [
        {"was_cancelled": True, "result": [{"value": {"text": ["no snake"]}}]},
        {"was_cancelled": False, "result": [result]},
    ]
    export = tmp_path / "export.json"
    export.write_text(json.dumps(tasks))
    third = tmp_path / "third.csv"
    third.write_text(f"path,class_id,observation_id,code\n{rows[2]['path']},{new}.0,7,PH\n")
    assert review("import", table, export, third, "--data", data) == 0
    told = capsys.readouterr().err
    assert "3 photos were added" in told and f"{2 * len(rows) - 2} rows were left empty" in told
    after = train_of(data)
    assert after[: len(before)] == before
    assert [row.class_id for row in after[len(before) :]] == [known.class_id, known.class_id, new]
    assert after[-1].observation_id == "reviewed 7" and after[-1].code == "PH"
    for row, asked in zip(after[len(before) :], rows, strict=False):
        assert (data / row.official_path).read_bytes() == Path(asked["path"]).read_bytes()
    assert review("import", table, export, "--data", data) == 0
    assert "0 photos were added" in capsys.readouterr().err and train_of(data) == after
    # What is reviewed is not asked for again.
    assert review(answers, "-o", tmp_path / "again.csv", "--data", data, *model) == 0
    assert {row["path"] for row in rows_of(tmp_path / "again.csv")}.isdisjoint(
        row["path"] for row in rows[:3]
    )


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("photo.jpg,No such,,", "line 3, column 'species' holds 'No such', which no photo of train is"),
        (
            "photo.jpg,,4000000,",
            "line 3, column 'class_id' holds 4000000, which venomous_status_list.csv lacks",
        ),
        ("photo.jpg,,snake,", "line 3, column 'class_id' holds 'snake': it must be a whole number"),
        ("photo.jpg,{known},{other},", "line 3, column 'class_id' holds {other} beside '{known}': it is"),
        ("gone.jpg,{known},,", "line 3, column 'path' names"),
        ("text.jpg,{known},,", "which is no photo"),
        ("first.jpg,,{other},", "has class {other}, and filled.csv, line 2, has class"),
        (
            "photo.jpg,,{other},seen",
            "gives observation 'seen' class {other}, and filled.csv, line 2 gives it",
        ),
        ("photo.jpg,{known},,1.12E+15", "a rounded number"),
        (",{known},,", "line 3, column 'path' is empty"),
    ],
)
def test_what_is_filled_in_wrongly_is_refused_by_its_cell_and_nothing_is_written(
    made: Made, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: str, told: str
) -> None:
    train = [row for row in train_of(data) if row.binomial_name]
    known, other = train[0], next(row for row in train if row.class_id != train[0].class_id)
    words = {"known": known.binomial_name, "other": other.class_id}
    shutil.copy(made.photos[0][0], tmp_path / "first.jpg")
    shutil.copy(made.photos[1][0], tmp_path / "photo.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    file = tmp_path / "filled.csv"
    first = f"first.jpg,{known.binomial_name},,seen"
    file.write_text(f"path,species,class_id,observation_id\n{first}\n{cells.format(**words)}\n")
    assert review("import", file, "--photos", tmp_path, "--data", data) == 2
    assert told.format(**words) in capsys.readouterr().err
    assert not (data / "metadata" / "reviewed.csv").exists() and not (data / "train" / "reviewed").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("filled.xlsx", "", "save the table as CSV"),
        ("export.json", "[", "is no JSON export of Label Studio"),
        ("export.json", '[{"data": {"path": "x"}, "annotations": [{"result": [1]}]}]', "is no JSON export"),
        (
            "export.json",
            '[{"data": {"path": "x"}, "annotations": [{"result": [{"value": {"choices": ["a", "b"]}}]}]}]',
            "task 1, column 'species' has a and b",
        ),
        ("filled.csv", "species\nx\n", "column 'path' is missing"),
    ],
)
def test_other_files_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, told: str
) -> None:
    (tmp_path / name).write_text(content)
    assert review("import", tmp_path / name, "--data", data) == 2
    assert told in capsys.readouterr().err


def test_photos_in_archives_are_not_hidden_by_reviewed_ones(
    made: Made, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.make_archive(str(data / "train"), "zip", data, "train")
    shutil.rmtree(data / "train")
    file = tmp_path / "filled.csv"
    file.write_text(f"path,species\n{made.photos[0][0]},{train_of(data)[0].binomial_name}\n")
    assert review("import", file, "--data", data) == 2
    assert "unpack them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ("path,answer\nx,y\n", ["-o", "new.csv"], "cannot be read as answers of `snake-assets predict`"),
        (None, ["-o", "new.csv"], "does not exist"),
        ("", [], "-o FILE.csv"),
    ],
)
def test_a_call_that_cannot_be_done_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, options: list[str], told: str
) -> None:
    answers = tmp_path / "answers.csv"
    if content is not None:
        answers.write_text(content)
    assert review(answers, *options, "--model", tmp_path) == 2
    assert told in capsys.readouterr().err


def test_species_take_turns_and_in_each_the_least_margin_comes_first_without_near_copies() -> None:
    vectors = np.eye(6, dtype=np.float32)
    vectors[2] = vectors[1] * 0.96 + vectors[0] * 0.28
    out_of_question = 5
    margin = np.array([0.9, 0.1, 0.15, 0.3, 0.25, 0.0])
    guess, observations = ["q", "p", "p", "p", "p", "q"], ["a", "b", "c", "d", "d", "e"]

    def given(rows: Sequence[int]) -> list[np.ndarray | None]:
        return [None if row == out_of_question else vectors[row] for row in rows]

    assert choose(margin, guess, observations, given, 3) == [1, 0, 4]
    assert choose(margin, guess, observations, given, 1) == [1]


def test_photos_that_the_page_keeps_are_found_by_the_name_of_their_file(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    about = {"path": "IMG_1.jpg", "level": "species", "top_k": [{"species": "Naja naja", "probability": 0.6}]}
    kept.write_text(json.dumps({"file": "abc.jpg", "country": None, **about}) + "\n")
    assert read_answers([kept])["path"].to_list() == ["abc.jpg"]
