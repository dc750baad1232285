"""The job `entry` after the job `snakeclef`, and its entry run as the competition runs it."""

import re
import shutil
from pathlib import Path

import dagster as dg
import pytest

from snake_assets import cli
from snake_assets_tests.defs.assets.test_run import definitions, run_job


def test_the_entry_answers_as_the_submission_in_the_sandbox(
    finished_run: tuple[Path, object],
    small_set: Path,
    demo_backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = shutil.copytree(finished_run[0], tmp_path / "store")
    (made,) = run_job(
        definitions(small_set, store, demo_backbone), "entry"
    ).get_asset_materialization_events()
    assert made.materialization.metadata["bytes"].value > 0
    monkeypatch.setenv("SNAKE_STORE", str(store))
    assert cli.main(["entry", "check", str(store / "competition_entry"), "--here", "--photos", "12"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"answers +(\d+) of \1 equal", told) and "repository/classifier.safetensors" in told
    # Once more, nothing is computed; with another backbone, nothing is written.
    again = run_job(definitions(small_set, store, demo_backbone), "entry")
    (same,) = again.get_asset_materialization_events()
    assert (
        same.materialization.tags["dagster/data_version"] == made.materialization.tags["dagster/data_version"]
    )


def test_another_backbone_is_refused_by_a_sentence(
    finished_run: tuple[Path, object], small_set: Path, demo_backbone: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(finished_run[0], tmp_path / "store")
    other = shutil.copytree(demo_backbone, tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(dg.Failure, match="set SNAKE_BACKBONE to it, or embed again"):
        run_job(definitions(small_set, store, other), "entry")
