"""The judgement: official figures, what was left out, and every way in which a split can be poor."""

import dataclasses
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from snake_assets.learning.classifier import Observed, Predictions
from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.report import judge, write_report
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metric import score
from snake_assets_tests.learning.evaluation.judged import (
    TRAIN,
    VAL,
    ToldClassifier,
    judged,
    neighbours_in,
    train_table,
    truth_of,
    val_table,
)
from snake_assets_tests.learning.tables import VENOMOUS, species_table

# Harmless 3 and 12, venomous 7 and 30.
WRONG = {"val 0": 12, "val 1": 7, "val 3": 12, "val 5": 30}


def nothing_readable(table: FeatureTable) -> FeatureTable:
    empty = {name: values[:0] for name, values in table.blocks.items()}
    return dataclasses.replace(
        table, image_id=[], observation_id=[], blocks=empty, class_id=table.class_id[:0], sha256=[]
    )


def test_the_scores_are_the_official_ones() -> None:
    found = judged(WRONG)
    assert found.scores == score(found.truth, found.predictions.class_id, VENOMOUS)
    assert found.scores.track2 == 1 + 2 + 5 + 2
    assert found.venom.counts == {(False, False): 5, (False, True): 1, (True, False): 1, (True, True): 5}
    assert found.venom.errors == {(False, False): 1, (False, True): 1, (True, False): 1, (True, True): 1}
    assert found.chance["accuracy"] == pytest.approx(25, abs=5)


def test_a_planted_duplicate_is_found_and_scored_without() -> None:
    val = val_table()
    val.blocks["cls"][0] = TRAIN.blocks["cls"][40]
    val.sha256[6] = TRAIN.sha256[3]
    found = judged({"val 0": 12, "val 4": 3}, val=val)
    assert {leak.image_id for leak in found.leakage.leaks} == {"val/0.jpg", "val/6.jpg"}
    last = found.variants[-1]
    assert last.name == "the classifier, without 2 observations with a copy or near copy in train"
    assert (last.observations, last.scores.accuracy) == (10, 90.0)


def test_a_val_that_is_all_in_train_gives_no_row_without() -> None:
    copied = dataclasses.replace(VAL, sha256=TRAIN.sha256[: len(VAL)])
    found = judged(WRONG, val=copied)
    assert found.leakage.exact == len(VAL)
    assert not any("without" in variant.name for variant in found.variants)


def test_a_species_that_train_lacks_is_named_and_counted() -> None:
    found = judged(
        {name: 3 for name, species in truth_of(VAL).items() if species == 12},
        train=train_table(classes=(3, 7, 30)),
    )
    assert found.unseen == [12]
    row = found.species.filter(class_id=12).to_dicts()[0]
    assert (row["train_photos"], row["recall"], row["taken_for"]) == (0, 0.0, 3)


def test_a_single_observation() -> None:
    one = species_table(classes=(7,), observations=1, photos=1, prefix="val")
    for wrong in ({}, {"val 0": 3}):
        found = judged(wrong, val=one)
        assert found.variants[0].intervals == {}
        assert len(found.mistakes) == len(wrong)
        assert found.scores == score([7], [wrong.get("val 0", 7)], VENOMOUS)


def test_no_venomous_species() -> None:
    found = judged(WRONG, venomous=dict.fromkeys(VENOMOUS, False))
    assert found.dangerous == []
    assert found.scores.rates["P3"] == 0.0
    assert found.venom.confidence.accuracy.tolist().count(0.0) > 0


def test_one_species_without_a_venom_status_leaves_out_all_that_takes_it(tmp_path: Path) -> None:
    # 30 is true of some observations and answered for others; 12 is harmless.
    found = judged(WRONG, venomous={3: False, 7: True, 12: False})
    assert found.venom is None and found.dangerous == []
    assert found.venom_gap.startswith("1 of 4 species have no venom status, Dus viridis (class_id 30) first")
    assert found.scores.told == {"f1": judged(WRONG).scores.f1, "accuracy": judged(WRONG).scores.accuracy}
    assert {one.cost for one in found.mistakes} == {one.p_venomous for one in found.mistakes} == {None}
    sure = [one.probability for one in found.mistakes]
    assert sure == sorted(sure, reverse=True)
    write_report(found, tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    for row in (scores, *scores["variants"]):
        assert [row[name] for name in ("track1", "track2", "rates", "errors")] == [None] * 4
        assert row["intervals"].keys() == {"f1", "accuracy"}
    assert scores["chance"].keys() == {"f1", "accuracy"} and scores["calibration"].keys() == {"probability"}
    assert scores["venomous_taken_for_harmless"] is scores["harmless_taken_for_venomous"] is None
    assert scores["venom_not_known"] == found.venom_gap
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    assert predictions.schema["p_venomous"] == pl.Float32 and predictions["p_venomous"].null_count() == 12
    assert pl.read_csv(tmp_path / "species.csv")["venomous"].to_list() == [False, True, False, None]


def test_a_classifier_from_before_venom_was_known_is_to_be_trained_again() -> None:
    class Before(ToldClassifier):
        def predictions(self, observed: Observed) -> Predictions:
            return dataclasses.replace(super().predictions(observed), p_venomous=None)

    truth = truth_of(VAL)
    told = Before(truth, {}, np.array([*VENOMOUS]), VENOMOUS, neighbours_in(TRAIN))
    with pytest.raises(LearningError, match="materialize species_classifier again"):
        judge(told, TRAIN, VAL, list(truth), truth, VENOMOUS, {})


def test_no_photo_could_be_read() -> None:
    found = judged(WRONG, val=nothing_readable(VAL), truth=truth_of(VAL))
    assert list(found.unreadable) == list(truth_of(VAL))
    assert [one.photos for one in found.mistakes] == [()] * 4
    assert asdict(found.scores) == asdict(judged(WRONG).scores)


def test_what_cannot_be_judged_is_an_error() -> None:
    with pytest.raises(DataError, match="no observation"):
        judged(truth={}, val=nothing_readable(VAL))


@pytest.fixture
def scores(tmp_path: Path) -> dict[str, object]:
    val = val_table()
    val.sha256[6] = TRAIN.sha256[3]
    write_report(judged(WRONG, val=val, names={3: 'Aus "albus", 1900'}), tmp_path)
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
    assert scores["train_photos"] == {"metadata": len(TRAIN), "review": 0}
    assert scores["unreadable_observations"] == scores["unknown_class_ids"] == []
    assert scores["venomous_taken_for_harmless"] == scores["harmless_taken_for_venomous"] == 1
    assert scores["leakage"] == {"photos": 1, "same_file": 1, "observations": ["val 3"], "unfinished": False}
    assert [row["observations"] for row in scores["variants"]] == [12] * 6 + [11]
    assert 0 <= scores["calibration"]["p_venomous"]["expected_calibration_error"] <= 1


def test_the_tables_agree_with_the_scores(scores: dict[str, object], tmp_path: Path) -> None:
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    right = (predictions["class_id"] == predictions["predicted"]).mean()
    assert round(100 * right, 2) == scores["accuracy"]
    species = pl.read_csv(tmp_path / "species.csv")
    assert species["f1"].mean() == pytest.approx(scores["f1"], abs=0.01)
    assert species["val_observations"].sum() == 12
    assert species["species"][0] == 'Aus "albus", 1900'
    (leak,) = pl.read_csv(tmp_path / "leakage.csv").to_dicts()
    assert (leak["image_id"], leak["train_image_id"], leak["exact"]) == ("val/6.jpg", "train/3.jpg", True)


def test_without_a_leak_the_table_has_its_header_alone(tmp_path: Path) -> None:
    write_report(judged(), tmp_path)
    assert pl.read_csv(tmp_path / "leakage.csv").columns[0] == "observation_id"
    assert pl.read_csv(tmp_path / "leakage.csv").height == 0
