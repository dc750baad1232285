"""Answers against what was asked; labels are held against the other splits in defs/test_checks.py."""

from pathlib import Path

import pytest

from snake_assets.data_quality.labels import submission_against
from snake_assets.snakeclef import DataError


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["12,1", "HM 7,2", "3,1"], []),
        (["12,1", "3,1"], ["observation HM 7 has no answer"]),
        (["12,1", "HM 7,1", "3,1", "4,1"], ["observation '4' is not one of test"]),
        (
            ["12,1", " HM 7,1", "3,1"],
            ["observation HM 7 has no answer", "observation ' HM 7' is not one of test"],
        ),
        (["HM 7,1", "12,1", "3,1"], ["line 2 answers HM 7 where 12 should be"]),
    ],
)
def test_a_submission_answers_what_was_asked_in_its_order_and_spelling(
    tmp_path: Path, lines: list[str], told: list[str]
):
    (tmp_path / "s.csv").write_text("\n".join(["observation_id,class_id", *lines]) + "\n")
    assert submission_against(tmp_path / "s.csv", ["12", "HM 7", "3"]).faults == told
    (tmp_path / "s.csv").write_text("observation_id,class_id\n12,1\n12,2\n")
    with pytest.raises(DataError, match="repeats '12'"):
        submission_against(tmp_path / "s.csv", ["12"])
