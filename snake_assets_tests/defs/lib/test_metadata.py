"""What the UI is told of the data is shown to the letter, and the log tells how far a step is."""

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from snake_assets.defs.lib import metadata as room
from snake_assets.defs.lib.metadata import markdown_table, some_of, table_metadata
from snake_assets.storage.tables.manifest import Reject
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table

HOSTILE = [
    "<img src=http://x/y.png>",
    "![a](http://x/y.png)",
    "[a](javascript:alert(1))",
    "a|b",
    "a\n\n# b",
    "`a`",
    "&lt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_one_cell_and_a_name_code_on_one_line(text: str, tmp_path: Path):
    (row,) = (markdown_table(["a", "b"], [[text, 7]]).md_str or "").splitlines()[2:]
    bare = row.replace("\\\\", "")
    assert bare.count("|") - bare.count("\\|") == 3
    for letter in "<![`&":
        assert bare.count(letter) == bare.count(f"\\{letter}")
    with write_table(tmp_path, "t", None, pa.schema([("a", pa.string())]), {}) as writer:
        writer.write("unit", [], [Reject(text, "missing", text)])
        writer.commit(["unit"])
    for shown in (some_of([text]).md_str, table_metadata(open_table(tmp_path))["rejected"].value):
        assert shown is not None
        assert "\n" not in shown
        assert shown.count("`") - shown.count("\\`") == 2


@pytest.mark.parametrize(
    ("seconds", "rates"),
    [(6, ["1.7 photos/s, 12 s left", "2.5 photos/s, 0 s left"]), (200, ["0.05", "0.075"])],
)
def test_lines_tell_what_is_done_the_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, seconds: int, rates: list[str]
):
    clock = iter(range(0, 1000, seconds))
    monkeypatch.setattr(room.time, "monotonic", lambda: next(clock))

    @dg.asset
    def counts(context: dg.AssetExecutionContext) -> None:
        with room.progress(context, "embed val") as report:
            for done in (10, 20, 40):
                report(done, 40)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([counts], instance=instance)
        log = [entry.user_message for entry in instance.all_logs(result.run_id)]
    told = [line for line in log if line.startswith("embed val")]
    assert [line.partition(" photos, ")[0] for line in told] == ["embed val: 20 of 40", "embed val: 40 of 40"]
    assert all(rate in line for rate, line in zip(rates, told, strict=True))
