"""Progress: lines in the log."""

import dagster as dg
import pytest

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
    assert run_of_three(monkeypatch) == [
        "embed val: 20 of 40 photos, 1.7 photos/s, 12 s left",
        "embed val: 40 of 40 photos, 2.5 photos/s, 0 s left",
    ]


def test_slow_work_has_a_rate_too(monkeypatch: pytest.MonkeyPatch):
    assert run_of_three(monkeypatch, seconds=200) == [
        "embed val: 20 of 40 photos, 0.05 photos/s, 400 s left",
        "embed val: 40 of 40 photos, 0.075 photos/s, 0 s left",
    ]
