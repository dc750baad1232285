"""The job `entry` after the job `snakeclef`, and its entry run as the competition runs it."""

import re
import shutil
from pathlib import Path

import dagster as dg
import pytest

from snake_assets import cli
from snake_assets_tests.defs.assets.test_run import definitions, run_job


def test_the_entry_answers_as_the_submission_in_the_sandbox(
    own_store: Path,
    own_graph: dg.Definitions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (made,) = run_job(own_graph, "entry").get_asset_materialization_events()
    assert made.materialization.metadata["bytes"].value > 0
    monkeypatch.setenv("SNAKE_STORE", str(own_store))
    assert cli.main(["entry", "check", str(own_store / "competition_entry"), "--here", "--photos", "12"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"answers +(\d+) of \1 equal", told) and "repository/classifier.safetensors" in told
    # Once more, nothing is computed.
    (same,) = run_job(own_graph, "entry").get_asset_materialization_events()
    assert (
        same.materialization.tags["dagster/data_version"] == made.materialization.tags["dagster/data_version"]
    )


def test_another_backbone_is_refused_by_a_sentence(
    own_store: Path, small_set: Path, demo_backbone: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(demo_backbone, tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(dg.Failure, match="set SNAKE_BACKBONE to it, or embed again"):
        run_job(definitions(small_set, own_store, other), "entry")
