"""Progress: lines in the log, and a bar where somebody watches."""

import os
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.command_line import TERMINAL_VARIABLE
from snake_assets.defs.lib import progress as room


def run_of_three(monkeypatch: pytest.MonkeyPatch, seconds: int = 6) -> list[str]:
    """An asset that reports three steps, so many seconds apart; returns the lines of the run's log."""
    clock = iter(range(0, 1000, seconds))
    monkeypatch.setattr(room.time, "monotonic", lambda: next(clock))

    @dg.asset
    def counts(context: dg.AssetExecutionContext) -> None:
        with room.progress(context, "embed val") as report:
            for done in (10, 20, 40):
                report(done, 40)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([counts], instance=instance)
        return [
            entry.user_message
            for entry in instance.all_logs(result.run_id)
            if "embed val" in entry.user_message
        ]


def test_lines_tell_what_is_done_the_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(TERMINAL_VARIABLE, raising=False)
    assert run_of_three(monkeypatch) == [
        "embed val: 20 of 40 photos, 1.7 photos/s, 12 s left",
        "embed val: 40 of 40 photos, 2.5 photos/s, 0 s left",
    ]


def test_slow_work_has_a_rate_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(TERMINAL_VARIABLE, raising=False)
    assert run_of_three(monkeypatch, seconds=200) == [
        "embed val: 20 of 40 photos, 0.05 photos/s, 400 s left",
        "embed val: 40 of 40 photos, 0.075 photos/s, 0 s left",
    ]


def test_a_bar_is_drawn_in_the_terminal_that_was_announced(monkeypatch: pytest.MonkeyPatch):
    ours, theirs = os.openpty()
    monkeypatch.setenv(TERMINAL_VARIABLE, os.ttyname(theirs))
    run_of_three(monkeypatch)
    os.set_blocking(ours, False)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert "embed val" in drawn and "/40" in drawn and "%|" in drawn


def test_a_terminal_that_was_closed_meanwhile_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(TERMINAL_VARIABLE, str(tmp_path / "gone"))
    assert len(run_of_three(monkeypatch)) == 2
