"""The jobs on the real photos: only three settings, and the scores that they must reach."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from snake_assets import cli
from snake_assets.definitions import defs
from snake_assets.defs.resources.settings import home
from snake_assets.storage.tables.table import open_table

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store after a run of `snakeclef`; the settings stay as they were for it.

    What REAL_STORE names is gone on with: .ci/run has made it a moment ago.
    """
    root = Path(os.environ.get("REAL_STORE") or tmp_path_factory.mktemp("real"))
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("SNAKE_DATA", str(shared_data / "philippine-snakes"))
        settings.setenv("SNAKE_STORE", str(root))
        settings.setenv("SNAKE_BACKBONE", str(shared_data / "weights" / "vit-tiny-imagenet"))
        run("snakeclef")
        yield root


def run(job: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def(job).execute_in_process(instance=instance).success


def test_real_photos_to_a_scored_submission(shared_data: Path, store: Path):
    for split, photos in (("train", 910), ("val", 195), ("test", 191)):
        manifest = open_table(store / "image_table" / split).manifest
        assert (manifest.rows_out, manifest.rejects) == (photos, [])
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    assert scores["observations"] == 116
    assert scores["track1"] >= 96.5
    assert scores["f1"] >= 91
    metadata = shared_data / "philippine-snakes" / "metadata"
    with (metadata / "SnakeCLEF2024-TestMetadata.csv").open() as file:
        asked = list(dict.fromkeys(row["observation_id"] for row in csv.DictReader(file)))
    with (store / "submission" / "submission.csv").open() as file:
        assert [row["observation_id"] for row in csv.DictReader(file)] == asked
    assert len(asked) == 117


@pytest.mark.parametrize("here", [True, False], ids=["this environment", "the runner's"])
def test_the_entry_answers_as_the_submission_in_the_sandbox(
    store: Path, here: bool, capsys: pytest.CaptureFixture[str]
):
    if not here and not any(home().glob("entry-runner-*/whole")):
        pytest.skip("the runner's environment (5 GB) is made by the first `snake-assets entry check`")
    run("entry")
    call = ["entry", "check", str(store / "competition_entry"), *(["--here"] if here else [])]
    assert cli.main(call) == 0, capsys.readouterr().out
    assert "117 of 117 equal those of the submission" in capsys.readouterr().out


def test_the_ablation_starts_at_chance_and_ends_on_top(store: Path):
    run("ablation")
    told = json.loads((store / "ablation_study" / "ablation.json").read_text())
    first, *others, last = told["steps"]
    for guessing in told["chance"].values():
        assert abs(first["track1"] - guessing["track1"]) <= 5
        assert first["track1_low"] < guessing["track1"] < first["track1_high"]
    assert last["track1"] == max(step["track1"] for step in [first, *others, last])
    assert last["track1"] == json.loads((store / "validation_report" / "scores.json").read_text())["track1"]
    for step in told["steps"]:
        assert step["track1_low"] <= step["track1"] <= step["track1_high"]
