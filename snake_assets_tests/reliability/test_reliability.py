"""The page says what was tried: its rows are those of the command, and nothing in them was lost."""

import re
from pathlib import Path

import pytest

from snake_assets_tests.fuzz.readers import build_targets
from snake_assets_tests.hostile.__main__ import CLASSES
from snake_assets_tests.reliability.faults import FAULTS, WHOLE_JOB, count
from snake_assets_tests.reliability.page import BEGIN, END, Row, with_table

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
WORDS = [word for words in FAULTS.values() for word in words]
FULL, READ_ONLY = "a full disk or a quota, at eight fillings; a full disk for each asset", WORDS[6]
TRIED = '<property name="tried" value="7"/>'
RESULTS = [(FULL, "", ""), (FULL, "", "<failure/>"), (FULL, "", "<skipped/>"), (READ_ONLY, TRIED, "")]


def test_every_fault_is_tried_by_a_test():
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert set(re.findall(r'mark\.fault\(\s*"([^"]+)"', sources)) == set(WORDS)


def test_what_failed_is_a_loss_and_what_was_skipped_was_not_tried(tmp_path: Path):
    cases = "".join(
        f'<testcase><properties><property name="fault" value="{word}"/>{more}</properties>{end}</testcase>'
        for word, more, end in RESULTS
    )
    (tmp_path / "results.xml").write_text(f"<testsuite>{cases}</testsuite>")
    rows = {row.name: row for row in count(tmp_path / "results.xml")}
    full, read_only = rows[FULL], rows[READ_ONLY]
    assert (full.tried, full.right, full.lost, full.sound) == (2, 1, 1, False)
    assert (read_only.tried, read_only.right, read_only.lost, read_only.sound) == (7, 7, 0, True)
    assert not rows[WORDS[0]].sound  # what was not tried


def test_the_table_takes_the_place_of_the_one_before():
    before = f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n"
    page = with_table(before, [Row("kills", "a", 1200, 1200, 0)], ["Told."])
    again = with_table(page, [Row("kills", "b", 2, 2, 0), Row("disks", "c", 3, 3, 0)], ["Told."])
    assert "| a | 1,200 | 1,200 | 0 |" in page
    assert again.startswith("Before.\n") and again.endswith("\nAfter.\n") and "| a |" not in again
    assert "| **all** | **5** | **5** | **0** |" in again
    with pytest.raises(ValueError, match="lacks"):
        with_table("Nothing.", [], [])


def test_the_page_has_every_class_and_nothing_was_lost(tmp_path: Path):
    rows = re.findall(r"^\| ([^|*]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [WHOLE_JOB, *WORDS, *CLASSES, *build_targets(tmp_path)]
    for name, tried, right, lost in rows:
        assert (tried, lost) == (right, "0"), name
    assert int(rows[0][1]) >= 100
