"""The official metric, against hand-worked examples, the official figures, and its own properties."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metric import macro_f1, main, score, score_files

VENOMOUS = {1: False, 2: False, 3: True, 4: True}
LABELS = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from([1, 2, 3, 4])), min_size=1, max_size=60
)


def test_hand_worked_example():
    truth = [1, 1, 1, 2, 2, 3, 3, 4]
    guess = [1, 2, 3, 2, 4, 3, 1, 3]
    result = score(truth, guess, VENOMOUS)
    assert result.errors == {
        "harmless_to_harmless": 1,
        "harmless_to_venomous": 2,
        "venomous_to_harmless": 1,
        "venomous_to_venomous": 1,
    }
    assert result.rates == {"P1": 20.0, "P2": 40.0, "P3": 33.33, "P4": 33.33}
    assert result.track2 == 1 + 2 * 2 + 5 * 1 + 2 * 1
    assert result.accuracy == 37.5
    # F1: class 1 2/(2+1+2)=.4, class 2 2/(2+1+1)=.5, class 3 2/(2+2+1)=.4, class 4 0
    assert result.f1 == 32.5
    expected = (32.5 + 80 + 2 * 60 + 5 * 66.67 + 2 * 66.67) / 11
    assert result.track1 == round(expected, 2)


def test_the_edges_of_the_scale():
    perfect = score([1, 2, 3], [1, 2, 3], VENOMOUS)
    assert (perfect.f1, perfect.accuracy, perfect.track1, perfect.track2) == (100.0, 100.0, 100.0, 0)
    # A predicted class that never occurs lowers F1; without a venomous observation nothing is wrong there.
    assert score([1, 1], [1, 2], VENOMOUS).f1 == round(100 * (2 / 3 + 0) / 2, 2)
    without = score([1, 2, 3], [1, 2, 2], None)
    assert without.told == {"f1": without.f1, "accuracy": 66.67}
    assert (without.track1, without.track2, without.rates, without.errors) == (None,) * 4
    assert score([1, 2], [1, 1], VENOMOUS).rates["P3"] == score([1, 2], [1, 1], VENOMOUS).rates["P4"] == 0.0


@given(LABELS)
def test_agrees_with_scikit_learn_adds_up_and_ignores_order_and_names_of_classes(pairs):
    truth, guess = map(list, zip(*pairs, strict=True))
    reference = f1_score(truth, guess, average="macro", labels=sorted({*truth, *guess}), zero_division=0)
    assert macro_f1(np.array(truth), np.array(guess)) == pytest.approx(reference)
    result = score(truth, guess, VENOMOUS)
    assert score(truth[::-1], guess[::-1], VENOMOUS) == result
    assert sum(result.errors.values()) == sum(t != g for t, g in pairs)
    assert 0 <= result.track1 <= 100
    assert 0 <= result.track2 <= 5 * len(pairs)
    assert (result.track2 == 0) == (result.track1 == 100.0)
    names = {1: 20, 2: 7, 3: 900, 4: 0}
    venomous = {names[class_id]: status for class_id, status in VENOMOUS.items()}
    assert score([names[t] for t in truth], [names[g] for g in guess], venomous) == result


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [([], [], "no observation"), ([1], [1, 2], "compared"), ([1], [99], "venom list")],
)
def test_what_cannot_be_scored_is_an_error(truth, guess, message):
    with pytest.raises(DataError, match=message):
        score(truth, guess, VENOMOUS)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    truth, submission, venom = (tmp_path / name for name in ("truth.csv", "submission.csv", "venom.csv"))
    truth.write_text("class_id,observation_id,x\n1,HM 5,a\n2,7,b\n1,HM 5,c\n")
    submission.write_text("observation_id,class_id\n7,2\nHM 5,1\n")
    venom.write_text("class_id,MIVS\n1,0\n2,0\n3,1\n")
    return truth, submission, venom


def test_truth_that_contradicts_itself_is_refused(files, capsys):
    files[0].write_text("class_id,observation_id\n1,HM 5\n2,7\n3,HM 5\n")
    assert main([str(path) for path in files]) == 2
    assert "truth.csv, line 4" in capsys.readouterr().err


def test_the_command_prints_one_json_line_or_fails_with_status_2_and_says_why(files, capsys):
    command = [sys.executable, "-m", "snake_assets.snakeclef.metric", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    (printed,) = done.stdout.splitlines()
    assert done.returncode == 0
    assert json.loads(printed).keys() == {"f1", "accuracy", "track1", "track2", "rates", "errors"}
    # Observations are joined by their id, whatever their order.
    assert json.loads(printed)["track1"] == 100.0
    files[1].write_text("observation_id,class_id\n7,2\n")
    assert main([str(path) for path in files]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "HM 5" in captured.err


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["2024-05-07-metaformer_0", "2024-05-08-caformer_s18-focal-balanced-sampling-higher-do"]
)
def test_official_figures_to_the_last_digit(shared_data: Path, name: str):
    official = json.loads((shared_data / "official-scores" / name / "scores.json").read_text())
    metadata = shared_data / "snakeclef-2024-metadata"
    result = score_files(
        metadata / "SnakeCLEF2023-ValMetadata.csv",
        shared_data / "official-scores" / name / "submission.csv",
        metadata / "venomous_status_list.csv",
    )
    assert result.f1 == official["F1 Score"]
    assert result.accuracy == official["Accuracy"]
    assert result.track1 == official["Track1 Metric"]
    assert result.track2 == official["Track2 Metric"]
    assert [result.rates[rate] for rate in ("P1", "P2", "P3", "P4")] == official["PSC"]
    assert list(result.errors.values()) == official["PSC_total"]
