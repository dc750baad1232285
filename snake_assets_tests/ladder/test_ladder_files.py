"""The ladder's files."""

import json
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from snake_assets.ladder.climb import climb
from snake_assets.ladder.ladder_files import LADDER_FILE, TABLE_FILE, write_ladder
from snake_assets.ladder.rungs import rungs
from snake_assets.ladder.settings import RungSettings
from snake_assets.ladder.shown import main
from snake_assets_tests.ladder.materials import OWN, material


def test_both_files_and_the_table_tell_every_rung(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = rungs(OWN, 2)
    steps = [*steps[:2], steps[-1]]
    ladder = climb(steps, material())
    write_ladder(ladder, tmp_path)
    told = json.loads((tmp_path / LADDER_FILE).read_text())
    rows = pl.read_csv(tmp_path / TABLE_FILE)
    assert [row["rung"] for row in told["rungs"]] == rows["rung"].to_list() == [step.name for step in steps]
    assert told["observations"] == ladder.observations
    assert set(told["chance"]) == {"species of train", "species of the venom list"}
    for row, step, stored in zip(told["rungs"], ladder.steps, rows.iter_rows(named=True), strict=True):
        assert row["track1"] == step.scores["track1"] == stored["track1"]
        assert row["intervals"]["track1"] == [stored["track1_low"], stored["track1_high"]]
        assert row["runs"] == len(row["track1_of_runs"])
    assert RungSettings.model_validate(told["rungs"][0]["settings"]) == steps[0].settings
    first = told["rungs"][0]
    assert (first["gain"], first["gain_low"]) == (None, None)
    for before, row in pairwise(told["rungs"]):
        assert row["gain"] == round(row["track1"] - before["track1"], 2)
        assert row["gain_low"] <= row["gain_high"]
    assert main([str(tmp_path / LADDER_FILE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(steps)
    assert all(
        step.name in line and f"| {row['track1']:.2f} |" in line
        for step, row, line in zip(steps, told["rungs"], lines[2:], strict=True)
    )


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_what_is_no_ladder_is_named(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / LADDER_FILE
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err
