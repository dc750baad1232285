"""Every hostile input ends right: refused by name or read right, nothing lost, nothing executed."""

from pathlib import Path

import pytest

from snake_assets_tests.hostile import archives, models, photos, shards, tables
from snake_assets_tests.hostile.case import Case, try_case

CLASSES = {
    "archives": archives.CASES,
    "metadata": tables.CASES,
    "photos": photos.CASES,
    "shards": shards.CASES,
    "models": models.CASES,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("full")
    cases = [
        pytest.param(case, id=f"{name}: {case.name}", marks=pytest.mark.fault(name))
        for name, cases in CLASSES.items()
        for case in cases
        if full or not case.slow
    ]
    metafunc.parametrize("case", cases)


@pytest.mark.filterwarnings("ignore")
def test_it_ends_right_and_leaves_all_else_alone(case: Case, tmp_path: Path):
    try_case(case, tmp_path)
