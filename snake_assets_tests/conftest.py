"""What tests share: the real data where it is there, small photos, and small raw data sets."""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set

if TYPE_CHECKING:
    from snake_assets_tests.gcs.server import Cloud
    from snake_assets_tests.places import Place

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Share of the demo set that tests draw: a few observations of every species.
SMALL = 0.15

settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="as often as docs/reliability.md says")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones come first, so that two workers end together; the mark `fault` goes into the report."""
    items.sort(key=lambda item: item.get_closest_marker("daemon") is None)
    for item in items:
        item.user_properties += [("fault", mark.args[0]) for mark in item.iter_markers("fault")]


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether a test is to try as much as docs/reliability.md says, not the slice that CI has time for."""
    return bool(request.config.getoption("full"))


@pytest.fixture(scope="session")
def quick_map() -> Iterator[None]:
    """The map of embeddings without UMAP, whose compiling takes twenty seconds of each process."""
    from snake_assets.plots import embedding_map

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_map, "flatten", lambda vectors: vectors[:, :2])
        yield


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
    for path in root.rglob("*"):
        # Whole microseconds, as objects of a bucket have them.
        os.utime(path, ns=(path.stat().st_mtime_ns // 1000 * 1000,) * 2)
    return root


@pytest.fixture(scope="session")
def demo_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's untrained backbone."""
    folder = tmp_path_factory.mktemp("drawn") / "backbone"
    build_demo_backbone(folder)
    return folder


@pytest.fixture(scope="session")
def finished_run(
    small_set: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory, quick_map: None
) -> tuple[Path, dg.ExecuteInProcessResult]:
    """The store after one run of `snakeclef` over the small drawn set, and the run; not to be changed."""
    # Here, so that tests of single rooms do not load the code location.
    from snake_assets_tests.defs.assets.test_run import QUICK, definitions, run_job

    store = tmp_path_factory.mktemp("run") / "store"
    return store, run_job(definitions(small_set, store, demo_backbone), run_config=QUICK)


@pytest.fixture(scope="session")
def featured(small_set: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and the store after the features of all splits were run; not to be changed."""
    from snake_assets.definitions import build_definitions
    from snake_assets_tests.places import EVERY_SPLIT, Place

    root = tmp_path_factory.mktemp("featured")
    shutil.copytree(small_set, root / "data")
    with dg.DagsterInstance.ephemeral() as instance:
        place = Place(root / "data", root / "store", demo_backbone, instance)
        job = build_definitions(resources=place.resources()).resolve_job_def("features")
        assert job.execute_in_process(instance=instance, tags=EVERY_SPLIT).success
    return root


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance that keeps its runs in files."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


@pytest.fixture
def place(featured: Path, demo_backbone: Path, instance: dg.DagsterInstance, tmp_path: Path) -> "Place":
    """A place that is up to date, of whose runs Dagster knows nothing."""
    from snake_assets_tests.places import Place

    instance.wipe()
    shutil.copytree(featured / "store", tmp_path / "store")
    return Place(featured / "data", tmp_path / "store", demo_backbone, instance)


@pytest.fixture
def gcs() -> Iterator["Cloud"]:
    """Google Cloud Storage on loopback."""
    from snake_assets.defs.resources.storage import gcs_client
    from snake_assets_tests.gcs.server import cloud

    with cloud() as state:
        gcs_client.cache_clear()
        yield state
    gcs_client.cache_clear()


@pytest.fixture
def empty(place: "Place") -> "Place":
    """The same before anything was run."""
    shutil.rmtree(place.store)
    return place
