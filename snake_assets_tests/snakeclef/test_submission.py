"""A submission answers exactly the observations of test, in their order and spelling."""

from pathlib import Path

import pytest

from snake_assets.data_quality.labels import submission_against, unknown_answers
from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.submission import submission_csv

WANTED = ["12", "HM 7", "3"]


def handed_in(folder: Path, text: str) -> Path:
    (folder / "s.csv").write_text(text)
    return folder / "s.csv"


def test_what_is_written_is_complete(tmp_path: Path):
    path = handed_in(tmp_path, submission_csv({"12": 1, "HM 7": 2, "3": 1}))
    assert not submission_against(path, WANTED).faults
    assert not unknown_answers(path, {1: True, 2: False}).faults


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["12,1", "3,1"], "observation HM 7 has no answer"),
        (["12,1", "HM 7,1", "3,1", "4,1"], "observation '4' is not one of test"),
        (["12,1", " HM 7,1", "3,1"], "observation ' HM 7' is not one of test"),
        (["HM 7,1", "12,1", "3,1"], "line 2 answers HM 7 where 12 should be"),
    ],
)
def test_what_is_missing_too_much_or_out_of_order(tmp_path: Path, lines: list[str], told: str):
    path = handed_in(tmp_path, "\n".join(["observation_id,class_id", *lines]) + "\n")
    assert told in submission_against(path, WANTED).faults


def test_an_observation_that_is_answered_twice_is_refused(tmp_path: Path):
    path = handed_in(tmp_path, "observation_id,class_id\n12,1\n12,2\n")
    with pytest.raises(DataError, match="repeats '12'"):
        submission_against(path, WANTED)


def test_an_answer_that_is_no_class(tmp_path: Path):
    path = handed_in(tmp_path, submission_csv({"12": 1, "3": 9}))
    assert unknown_answers(path, {1: True}).faults == ["observation 3 is answered with class_id 9"]
