"""A finished store of a test's own, and the graph on it."""

import shutil
from pathlib import Path

import dagster as dg
import pytest


@pytest.fixture
def own_store(finished_run: tuple[Path, dg.ExecuteInProcessResult], tmp_path: Path) -> Path:
    """A copy of the store after one run of `snakeclef`, to be changed."""
    return shutil.copytree(finished_run[0], tmp_path / "store")


@pytest.fixture
def own_graph(own_store: Path, small_set: Path, demo_backbone: Path) -> dg.Definitions:
    # Here, so that tests of single rooms do not load the code location.
    from snake_assets_tests.defs.assets.test_run import definitions

    return definitions(small_set, own_store, demo_backbone)
