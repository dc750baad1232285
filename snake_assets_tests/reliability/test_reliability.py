"""The page says what was tried: its rows are those of the command, and nothing in them was lost."""

import ast
import re
from pathlib import Path

import pytest

from snake_assets_tests.fuzz.readers import build_targets
from snake_assets_tests.hostile.classes import CLASSES
from snake_assets_tests.reliability.faults import FAULTS, WHOLE_JOB, count
from snake_assets_tests.reliability.page import BEGIN, END, with_table
from snake_assets_tests.reliability.row import Row

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
CASE = '<testcase classname="snake_assets_tests.%s" name="%s">%s</testcase>'
TRIED = '<properties><property name="tried" value="7"/></properties>'
RESULTS = [
    ("test_disk_faults", "test_a_full_disk[quota-image_table]", ""),
    ("test_disk_faults", "test_a_full_disk[disk-image_table]", "<failure/>"),
    ("test_disk_faults", "test_a_full_disk[disk-a bundle]", "<skipped/>"),
    ("defs.assets.test_full_disk", "test_any", "<error/>"),
    ("test_disk_faults", "test_a_read_only_store", TRIED),
]


@pytest.mark.parametrize("test", [test for fault in FAULTS for test in fault.tests])
def test_a_fault_is_a_test(test: str):
    file, _, name = test.partition("::")
    tree = ast.parse((TESTS / f"{file}.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert any(found == name if name else found.startswith("test_") for found in names)


def test_what_failed_is_a_loss_and_what_was_skipped_was_not_tried(tmp_path: Path):
    cases = "".join(CASE % result for result in RESULTS)
    (tmp_path / "results.xml").write_text(f"<testsuite>{cases}</testsuite>")
    rows = {row.name.partition(",")[0]: row for row in count(tmp_path / "results.xml")}
    full, read_only = rows["a full disk or a quota"], rows["a store that is read-only"]
    assert (full.tried, full.right, full.lost, full.sound) == (3, 1, 2, False)
    assert (read_only.tried, read_only.right, read_only.lost, read_only.sound) == (7, 7, 0, True)


def test_what_was_not_tried_is_not_sound():
    assert not Row("crashes", "a kill", 0, 0, 0).sound
    assert Row("crashes", "a kill", 3, 3, 0).sound


def test_the_table_takes_the_place_of_the_one_before():
    page = with_table(
        f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n", [Row("kills", "a", 1200, 1200, 0)], ["Told."]
    )
    again = with_table(page, [Row("kills", "b", 2, 2, 0), Row("disks", "c", 3, 3, 0)], ["Told."])
    assert "| a | 1,200 | 1,200 | 0 |" in page
    assert again.startswith("Before.\n")
    assert again.endswith("\nAfter.\n")
    assert "| a |" not in again
    assert "| **all** | **5** | **5** | **0** |" in again
    with pytest.raises(ValueError, match="lacks"):
        with_table("Nothing.", [], [])


def test_the_page_has_every_class_and_nothing_was_lost(tmp_path: Path):
    rows = re.findall(r"^\| ([^|*]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    faults = [fault.words for fault in FAULTS]
    assert [row[0] for row in rows] == [WHOLE_JOB, *faults, *CLASSES, *build_targets(tmp_path)]
    for name, tried, right, lost in rows:
        assert (tried, lost) == (right, "0"), name
    assert int(rows[0][1]) >= 100
