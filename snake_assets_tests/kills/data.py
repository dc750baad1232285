"""Two versions of a small raw data set, the second with a few photos changed in every split."""

import os
import shutil
import tarfile
from pathlib import Path

from snake_assets.demo.dataset import draw_demo_set

SHARE = 0.01  # a photo or two of every observation that the demo set must have
VERSIONS = ("first", "second")
CHANGED = 2


def draw_versions(root: Path) -> None:
    """Make the folders `first` and `second`; the test split is in an archive."""
    draw_demo_set(root / "drawn", share=SHARE)
    first, second = (root / version for version in VERSIONS)
    shutil.copytree(root / "drawn", first)
    shutil.copytree(root / "drawn", second)
    for split in ("train", "val", "test"):
        photos = [path for path in sorted((second / split).rglob("*.jpg")) if path.stat().st_size > 1000]
        for photo, other in zip(photos[:CHANGED], photos[CHANGED:], strict=False):
            shutil.copyfile(other, photo)
            os.utime(photo, ns=(1, 1))
    for version in (first, second):
        with tarfile.open(version / "private_testset.tar", "w") as archive:
            archive.add(version / "test", "private_testset")
        shutil.rmtree(version / "test")


def choose(root: Path, version: str) -> Path:
    """Make `root/data` the data of a version; the path is the same for both, as after a change in place."""
    link = root / "data"
    link.unlink(missing_ok=True)
    link.symlink_to(root / version, target_is_directory=True)
    return link
