"""The disk is full when an asset is made anew: the old one stays whole, and the same run later ends right."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.defs.assets.test_run import QUICK, definitions, run_job
from snake_assets_tests.disks import crowded, small_disk

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.fault("a full disk or a quota, at eight fillings; a full disk for each asset"),
]

# In the graph's order. The first two are driven onto a full disk by test_disk_faults.py, room by room.
MADE_BEFORE = ["raw_images", "image_table"]
TABLES = ["dinov2_embeddings", "dct_embeddings"]
BUNDLES = [
    "species_classifier",
    "final_classifier",
    "validation_report",
    "submission",
    "embedding_map",
    "species_histogram",
]
SPLIT = "train"


class Deployment:
    """A finished store on a small disk, and data of which some photos have changed since."""

    def __init__(self, disk: Path, graph: dg.Definitions) -> None:
        self.disk, self.graph = disk, graph

    def make(self, *assets: str) -> dg.ExecuteInProcessResult:
        """Run these assets alone."""
        return run_job(
            self.graph,
            assets,
            partition_key=None if assets[0] in BUNDLES else SPLIT,
            run_config=QUICK if "species_classifier" in assets else None,
            raise_on_error=False,
        )

    def read(self, asset: str) -> object:
        """What a reader finds: digests, and of what it was made."""
        folder = self.disk / "store" / asset
        if asset in TABLES:
            return hashlib.sha256(repr(open_table(folder / SPLIT).read().to_pylist()).encode()).hexdigest()
        bundle = open_bundle(folder)
        files = {name: hashlib.sha256(bundle.path(name).read_bytes()).hexdigest() for name in bundle.files}
        return files, bundle.recipe

    def asides(self, asset: str) -> list[Path]:
        """Files that were on their way to the disk."""
        return list((self.disk / "store" / asset).rglob(".*"))


@pytest.fixture(scope="module")
def deployment(
    small_set: Path,
    demo_backbone: Path,
    finished_run: tuple[Path, dg.ExecuteInProcessResult],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("full disk")
    data = shutil.copytree(small_set, root / "data")
    with small_disk(root / "disk", megabytes=64):
        shutil.copytree(finished_run[0], root / "disk" / "store")
        deployment = Deployment(root / "disk", definitions(data, root / "disk" / "store", demo_backbone))
        for number, photo in enumerate(sorted((data / SPLIT).rglob("*.jpg"))[::9]):
            photo.write_bytes(photo_bytes(number, (224, 224)))
        assert deployment.make(*MADE_BEFORE).success
        yield deployment


@pytest.mark.parametrize("asset", [*TABLES, *BUNDLES])
def test_the_old_one_stays_whole_and_the_rerun_ends_right(deployment: Deployment, asset: str, full: bool):
    old = deployment.read(asset)
    for room in (0, 8192) if full else (8192,):
        with crowded(deployment.disk)(room):
            result = deployment.make(asset)
            assert not result.success
            assert deployment.read(asset) == old
            (failed,) = (event for event in result.all_events if event.is_step_failure)
            message = failed.step_failure_data.error.message
            assert str(deployment.disk / "store" / asset) in message
            assert "No space left on device" in message and "Free space" in message and "run again" in message
    assert deployment.make(asset).success
    new = deployment.read(asset)
    assert new != old
    assert not deployment.asides(asset)
    assert deployment.make(asset).success
    assert deployment.read(asset) == new
