"""Answers against what was asked; labels are held against the other splits in defs/test_checks.py."""

from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.data_quality.labels import submission_against, unknown_answers, unknown_classes
from snake_assets.snakeclef import DataError
from snake_assets_tests.written import write


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


def test_classes_without_a_venom_status_are_faults_of_the_official_layout_alone(tmp_path: Path):
    image_rows = {"image_id": ["a", "b", "c"], "class_id": [3, 7, None]}
    table = write(tmp_path / "image_table" / "train", [pa.table(image_rows)], {})
    (tmp_path / "s.csv").write_text("observation_id,class_id\n12,3\n13,7\n")
    gap = "1 of 2 species have no venom status, class_id 7 first"
    for found in (unknown_classes(table, {3: True}), unknown_answers(tmp_path / "s.csv", {3: True})):
        assert len(found.faults) == 1 and "class_id 7" in found.faults[0]
    for found in (
        unknown_classes(table, {3: True}, all_needed=False),
        unknown_answers(tmp_path / "s.csv", {3: True}, all_needed=False),
    ):
        assert not found.faults and found.note.startswith(gap)
    assert unknown_classes(table, {3: True, 7: False}, all_needed=False).note == ""
