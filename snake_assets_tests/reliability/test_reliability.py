"""The page says what was tried: its rows are those of the command, and nothing in them was lost."""

import re
from pathlib import Path

from snake_assets_tests.fuzz.readers import build_targets
from snake_assets_tests.hostile.test_hostile import CLASSES
from snake_assets_tests.reliability.faults import FAULTS, HOSTILE, WHOLE_JOB, count

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
WORDS = [word for words in FAULTS.values() for word in words]
FULL, READ_ONLY = WORDS[5:7]
TRIED = '<property name="tried" value="7"/>'
RESULTS = [(FULL, "", ""), (FULL, "", "<failure/>"), (FULL, "", "<skipped/>"), (READ_ONLY, TRIED, "")]


def test_every_fault_is_tried_by_a_test():
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    marks = re.findall(r'mark\.fault\(\s*"([^"]+)"', sources)
    assert {*marks, *CLASSES} == set(WORDS) and tuple(CLASSES) == FAULTS[HOSTILE]


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


def test_the_page_has_every_class_and_nothing_was_lost(tmp_path: Path):
    rows = re.findall(r"^\| ([^|*]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [WHOLE_JOB, *WORDS, *build_targets(tmp_path)]
    for name, tried, right, lost in rows:
        assert (tried, lost) == (right, "0"), name
    assert int(rows[0][1]) >= 100
