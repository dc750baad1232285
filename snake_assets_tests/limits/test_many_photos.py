"""Many photos and many shards, under limits of memory and of open files."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snake_assets_tests.conftest import photo_bytes

METADATA = "SnakeCLEF2024-TestMetadata.csv"


def write_test_split(root: Path, photos: dict[str, bytes]) -> Path:
    """A test split of these photos, each an observation."""
    for folder in ("test", "metadata"):
        (root / folder).mkdir(parents=True)
    for name, data in photos.items():
        (root / "test" / name).write_bytes(data)
    rows = "".join(f"{name},{name}\n" for name in photos)
    (root / "metadata" / METADATA).write_text("observation_id,filename\n" + rows)
    return root


def small_photos(count: int) -> dict[str, bytes]:
    """Photos that differ, cheaply made: bytes after a JPEG's end are its own."""
    drawn = [photo_bytes(seed, (16, 16)) for seed in range(8)]
    return {
        f"{number:05}.jpg": drawn[number % 8] + hashlib.sha256(str(number).encode()).digest() + b"\xff\xd9"
        for number in range(count)
    }


def passes(data: Path, store: Path, backbone: Path, *options: object) -> dict[str, Any]:
    """What `snake_assets_tests.limits.passes` tells of this split."""
    command = [sys.executable, "-m", "snake_assets_tests.limits.passes", str(data), str(store), str(backbone)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, *map(str, options)], capture_output=True, text=True, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.daemon
def test_sixty_four_open_files_do_for_three_hundred_shards(tmp_path: Path, demo_backbone: Path):
    data = write_test_split(tmp_path / "data", small_photos(300))
    told = passes(data, tmp_path / "store", demo_backbone, "--shard-rows", 1, "--files", 64)
    assert (told["shards"], told["rows"]) == (300, 300)


def test_five_hundred_photos_under_limits(tmp_path: Path, demo_backbone: Path):
    data = write_test_split(tmp_path / "data", small_photos(500))
    told = passes(data, tmp_path / "store", demo_backbone, "--files", 128, "--address-space", 8 << 30)
    assert told["rows"] == told["computed"] == 500


@pytest.mark.daemon
def test_twenty_thousand_photos_under_limits(tmp_path: Path, demo_backbone: Path):
    peaks = {}
    for count in (2_000, 20_000):
        data = write_test_split(tmp_path / f"data{count}", small_photos(count))
        # Libraries map 5 GiB of it before the first photo.
        limits = ("--files", 128, "--address-space", 8 << 30)
        told = passes(data, tmp_path / "store", demo_backbone, *limits)
        assert told["rows"] == told["computed"] == count
        peaks[count] = told["peak_mib"]
    # 9,500 bytes were measured for a photo of the split, and a quarter more.
    assert (peaks[20_000] - peaks[2_000]) << 20 < 18_000 * 9_500 * 1.25, peaks
