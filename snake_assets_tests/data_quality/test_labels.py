"""Labels of a table against the venom list and the other splits; answers against what was asked."""

from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.data_quality.labels import (
    labels_of,
    scarce_classes,
    shared_observations,
    submission_against,
    unknown_answers,
    unknown_classes,
)
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.submission import submission_csv
from snake_assets.storage.tables.table import Table
from snake_assets_tests.written import write

VENOMOUS = {3: False, 7: True}


def table(folder: Path, *photos: tuple[str, str, int | None]) -> Table:
    rows = [PhotoRow(image_id, observation, "p", class_id) for image_id, observation, class_id in photos]
    named = labels_of(rows).append_column("binomial_name", pa.array(["Vipera"] * len(rows), pa.string()))
    return write(folder, [named])


def test_class_ids_that_the_list_lacks(tmp_path: Path):
    photos = table(tmp_path / "i" / "val", ("a", "1", 3), ("b", "2", 8), ("c", "3", 8), ("d", "4", None))
    found = unknown_classes(photos, VENOMOUS)
    assert found.faults == ["class_id 8, photos: 2, b first"]
    assert not unknown_classes(photos, {**VENOMOUS, 8: True}).faults


def test_an_observation_of_two_splits_is_named_in_both(tmp_path: Path):
    found = shared_observations(
        {
            "train": table(tmp_path / "i" / "train", ("a", "1", 3), ("b", "2", 3), ("c", "2", 3)),
            "val": table(tmp_path / "i" / "val", ("d", "2", 3)),
            "test": table(tmp_path / "i" / "test", ("e", "9", None)),
        }
    )
    assert found["train"].faults == ["observation 2 stands in val too"]
    assert found["val"].faults == ["observation 2 stands in train too"]
    assert not found["test"].faults


def test_species_with_few_photos(tmp_path: Path):
    photos = table(tmp_path / "i" / "train", ("a", "1", 3), ("b", "2", 7), ("c", "3", 7), ("d", "4", None))
    found = scarce_classes(photos, 2)
    assert found.faults == ["class_id 3 (Vipera), photos: 1"]
    assert "1 of 2 species" in found.headline
    assert not scarce_classes(photos, 1).faults


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


def test_an_answer_that_is_no_class(tmp_path: Path):
    (tmp_path / "s.csv").write_text(submission_csv({"12": 1, "3": 9}))
    assert unknown_answers(tmp_path / "s.csv", {1: True}).faults == [
        "observation 3 is answered with class_id 9"
    ]
    assert not unknown_answers(tmp_path / "s.csv", {1: True, 9: False}).faults
