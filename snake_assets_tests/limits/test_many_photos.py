"""Many photos and many shards, under limits of memory and of open files."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snake_assets_tests.conftest import photo_bytes

pytestmark = [pytest.mark.daemon, pytest.mark.fault("open files and address space; 20,000 photos")]

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


def passes(
    data: Path, store: Path, backbone: Path, *, shard_rows: int = 512, files: int = 128
) -> dict[str, Any]:
    """What `snake_assets_tests.limits.passes` tells of this split."""
    # Libraries map 5 GiB of address space before the first photo.
    given = map(str, (data, store, backbone, shard_rows, files, 8 << 30))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snake_assets_tests.limits.passes", *given]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_many_photos_and_shards_under_limits(
    tmp_path: Path, demo_backbone: Path, full: bool, record_property: Callable[[str, int], None]
):
    data = write_test_split(tmp_path / "data", small_photos(300))
    told = passes(data, tmp_path / "store", demo_backbone, shard_rows=1, files=64)
    assert (told["shards"], told["rows"], told["computed"]) == (300, 300, 300)
    peaks = []
    for count in (2_000, 20_000) if full else ():
        data = write_test_split(tmp_path / f"data{count}", small_photos(count))
        told = passes(data, tmp_path / f"store{count}", demo_backbone)
        assert told["rows"] == told["computed"] == count
        peaks.append(told["peak_mib"])
    # 9,500 bytes were measured for a photo of the split, and a quarter more.
    assert not full or (peaks[-1] - peaks[0]) << 20 <= 18_000 * 9_500 * 1.25, peaks
    record_property("tried", 1 + len(peaks))
