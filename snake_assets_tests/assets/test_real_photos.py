"""The main job on the real photos: only three settings, and the scores that it must reach."""

import csv
import json
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.definitions import defs

pytestmark = pytest.mark.real


def test_real_photos_to_a_scored_submission(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = shared_data / "philippine-snakes"
    monkeypatch.setenv("SNAKE_DATA", str(data))
    monkeypatch.setenv("SNAKE_STORE", str(tmp_path))
    monkeypatch.setenv("SNAKE_BACKBONE", str(shared_data / "weights" / "vit-tiny-imagenet"))
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("snakeclef").execute_in_process(instance=instance).success
    scores = json.loads((tmp_path / "validation_report" / "scores.json").read_text())
    assert scores["observations"] == 116
    assert scores["track1"] >= 96.5
    assert scores["f1"] >= 91
    located = next(row for row in scores["variants"] if row["name"] == "with the location prior")
    assert located["track1"] >= scores["track1"]
    with (data / "metadata" / "SnakeCLEF2024-TestMetadata.csv").open() as file:
        asked = list(dict.fromkeys(row["observation_id"] for row in csv.DictReader(file)))
    with (tmp_path / "submission" / "submission.csv").open() as file:
        assert [row["observation_id"] for row in csv.DictReader(file)] == asked
    assert len(asked) == 117
