"""What tests share: the real data where it is there, small photos, and small raw data sets."""

import io
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Share of the demo set that tests draw: a few observations of every species.
SMALL = 0.15

settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos, weights and official files."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data is not beside this checkout (../shared/data)")
    return SHARED_DATA


def photo_bytes(seed: int = 0, size: tuple[int, int] = (48, 40), kind: str = "JPEG") -> bytes:
    """A small photo file of noise in a colour of its own."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(noise).save(encoded, kind)
    return encoded.getvalue()


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set in the official layout with few observations of every species; not to be changed."""
    root = tmp_path_factory.mktemp("drawn") / "set"
    draw_demo_set(root, share=SMALL)
    return root


@pytest.fixture(scope="session")
def demo_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's untrained backbone."""
    folder = tmp_path_factory.mktemp("drawn") / "backbone"
    build_demo_backbone(folder)
    return folder


@pytest.fixture(scope="session")
def finished_run(
    small_set: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dg.ExecuteInProcessResult]:
    """The store after one run of `snakeclef` over the small drawn set, and the run; not to be changed."""
    # Here, so that tests of single rooms do not load the code location.
    from snake_assets_tests.assets.test_run import QUICK, definitions, run_job

    store = tmp_path_factory.mktemp("run") / "store"
    return store, run_job(definitions(small_set, store, demo_backbone), run_config=QUICK)
