"""One small drawn set and one backbone, shared by the tests that only read them."""

from pathlib import Path

import pytest

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set

SMALL = 0.12


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set with few observations of every species."""
    root = tmp_path_factory.mktemp("demo") / "set"
    draw_demo_set(root, share=SMALL)
    return root


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo backbone."""
    folder = tmp_path_factory.mktemp("demo") / "backbone"
    build_demo_backbone(folder)
    return folder
