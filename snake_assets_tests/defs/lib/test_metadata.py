"""What the UI is told of the data is shown to the letter: nothing in it is taken for markup."""

from pathlib import Path

import pyarrow as pa
import pytest

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
def test_a_cell_stays_one_cell_without_markup(text: str):
    (row,) = (markdown_table(["a", "b"], [[text, 7]]).md_str or "").splitlines()[2:]
    bare = row.replace("\\\\", "")
    assert bare.count("|") - bare.count("\\|") == 3
    for letter in "<![`&":
        assert bare.count(letter) == bare.count(f"\\{letter}")


@pytest.mark.parametrize("text", HOSTILE)
def test_names_stay_code_on_one_line(text: str, tmp_path: Path):
    with write_table(tmp_path, "t", None, pa.schema([("a", pa.string())]), {}) as writer:
        writer.write("unit", [], [Reject(text, "missing", text)])
        writer.commit(["unit"])
    for shown in (some_of([text]).md_str, table_metadata(open_table(tmp_path))["rejected"].value):
        assert shown is not None
        assert "\n" not in shown
        assert shown.count("`") - shown.count("\\`") == 2
