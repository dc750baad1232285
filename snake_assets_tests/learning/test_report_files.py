"""The report's tables: what programs read of it, and that they agree with each other."""

import json
from pathlib import Path

import polars as pl
import pytest

from snake_assets.learning.report_files import write_report
from snake_assets_tests.learning.judged import TRAIN, judged, val_table

WRONG = {"val 0": 12, "val 1": 7, "val 3": 12, "val 5": 30}


@pytest.fixture
def scores(tmp_path: Path) -> dict[str, object]:
    val = val_table()
    val.sha256[6] = TRAIN.sha256[3]
    write_report(judged(WRONG, val=val), tmp_path)
    return json.loads((tmp_path / "scores.json").read_text())


def test_scores_hold_what_they_always_held_and_more(scores: dict[str, object]) -> None:
    for name in ("track1", "track2", "f1", "accuracy"):
        assert scores[name] == scores["variants"][0][name]
        low, high = scores["intervals"][name]
        assert low <= scores[name] <= high
        assert scores["chance"][name] >= 0
    assert scores["rates"].keys() == {"P1", "P2", "P3", "P4"}
    assert sum(scores["errors"].values()) == 4
    assert (scores["observations"], scores["photos"]) == (12, 24)
    assert scores["unreadable_observations"] == scores["unknown_class_ids"] == []
    assert scores["venomous_taken_for_harmless"] == scores["harmless_taken_for_venomous"] == 1
    assert scores["leakage"] == {"photos": 1, "same_file": 1, "observations": ["val 3"], "unfinished": False}
    assert [row["observations"] for row in scores["variants"]] == [12, 11]
    assert 0 <= scores["calibration"]["p_venomous"]["expected_calibration_error"] <= 1


def test_the_tables_agree_with_the_scores(scores: dict[str, object], tmp_path: Path) -> None:
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    right = (predictions["class_id"] == predictions["predicted"]).mean()
    assert round(100 * right, 2) == scores["accuracy"]
    species = pl.read_csv(tmp_path / "species.csv")
    assert species["f1"].mean() == pytest.approx(scores["f1"], abs=0.01)
    assert species["val_observations"].sum() == 12
    (leak,) = pl.read_csv(tmp_path / "leakage.csv").to_dicts()
    assert (leak["image_id"], leak["train_image_id"], leak["exact"]) == ("val/6.jpg", "train/3.jpg", True)


def test_without_a_leak_the_table_has_its_header_alone(tmp_path: Path) -> None:
    write_report(judged(), tmp_path)
    assert pl.read_csv(tmp_path / "leakage.csv").columns[0] == "observation_id"
    assert pl.read_csv(tmp_path / "leakage.csv").height == 0


def test_a_species_name_with_a_comma_stays_one_cell(tmp_path: Path) -> None:
    write_report(judged(names={3: 'Aus "albus", 1900'}), tmp_path)
    assert pl.read_csv(tmp_path / "species.csv")["species"][0] == 'Aus "albus", 1900'
