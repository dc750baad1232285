"""Every hostile input ends right: refused by name or read right, nothing lost, nothing executed."""

from pathlib import Path

import pytest

from snake_assets_tests.hostile.__main__ import CLASSES
from snake_assets_tests.hostile.case import Case, try_case

ALL = [
    pytest.param(case, id=f"{name}: {case.name}")
    for name, cases in CLASSES.items()
    for case in cases
    if not case.slow
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ALL)
def test_it_ends_right_and_leaves_all_else_alone(case: Case, tmp_path: Path):
    ending = try_case(case, tmp_path)
    assert ending.fault is None
    assert ending.lost == 0
