"""What a listing of raw data notices, and whether the inventory of it is up to date."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from snake_assets.snakeclef.raw.inventory import inventory_is_current, take_inventory
from snake_assets.snakeclef.raw.sources import LocalData
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.snakeclef.raw.test_archives import tar


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a photo in each split and metadata of test."""
    root = tmp_path / "data"
    for split in ("train", "val", "test"):
        write(root / split / "a.jpg", photo_bytes())
    write(root / "metadata" / "SnakeCLEF2024-TestMetadata.csv", b"observation_id,filename\n1,a.jpg\n")
    write(root / "metadata" / "venomous_status_list.csv", b"class_id,MIVS\n1,0\n")
    return root


CHANGES: dict[str, Callable[[Path], object]] = {
    "a photo more": lambda root: write(root / "test" / "deep" / "b.PNG", b"x"),
    "a file of any name more": lambda root: write(root / "test" / "b", b"x"),
    "a name that is not UTF-8": lambda root: write(root / "test" / os.fsdecode(b"caf\xe9.jpg"), b"x"),
    "a link more": lambda root: (root / "test" / "b").symlink_to("nowhere"),
    "a photo less": lambda root: (root / "test" / "a.jpg").unlink(),
    "a photo replaced": lambda root: os.utime(root / "test" / "a.jpg", ns=(1, 1)),
    "a photo renamed": lambda root: (root / "test" / "a.jpg").rename(root / "test" / "c.jpg"),
    "an archive beside": lambda root: write(root / "private_testset.zip", b"x"),
    "an archive within": lambda root: write(root / "test" / "more.tar.gz", b"x"),
    "metadata": lambda root: write(root / "metadata" / "SnakeCLEF2024-TestMetadata.csv", b"observation_id\n"),
    "no metadata": lambda root: (root / "metadata" / "SnakeCLEF2024-TestMetadata.csv").unlink(),
    "the venom list": lambda root: write(root / "metadata" / "venomous_status_list.csv", b"class_id,MIVS\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(data: Path, change: str):
    before = LocalData(data).listing("test").digest
    assert LocalData(data).listing("test").digest == before
    # Other splits and other files are not its business.
    write(data / "train" / "b.jpg", b"x")
    write(data / "metadata" / "SnakeCLEF2023-ValMetadata.csv", b"x")
    assert LocalData(data).listing("test").digest == before
    CHANGES[change](data)
    assert LocalData(data).listing("test").digest != before


def is_current(data: Path, folder: Path) -> bool:
    raw = LocalData(data).listing("test")
    return inventory_is_current(data, raw.photos, raw.archives, folder)


def test_an_inventory_is_up_to_date_until_a_file_changes(data: Path, tmp_path: Path):
    assert not is_current(data, tmp_path / "store")
    take_inventory(data, "test", tmp_path / "store")
    assert is_current(data, tmp_path / "store")
    os.utime(data / "test" / "a.jpg", ns=(1, 1))
    assert not is_current(data, tmp_path / "store")


def test_so_is_one_of_archives_although_they_are_removed_later(tmp_path: Path):
    data, store = tmp_path / "data", tmp_path / "store"
    (data / "test").mkdir(parents=True)
    write(data / "metadata" / "venomous_status_list.csv", b"class_id,MIVS\n1,0\n")
    archive = tar(data / "private_testset.tar.gz", {"a.jpg": photo_bytes()})
    take_inventory(data, "test", store)
    assert is_current(data, store)
    another = tar(data / "more_of_test.tar.gz", {"b.jpg": photo_bytes(1)})
    assert not is_current(data, store)
    another.unlink()
    archive.unlink()
    assert LocalData(data).listing("test").is_empty
    take_inventory(data, "test", store)
    assert is_current(data, store)
    shutil.rmtree(store / "unpacked")
    assert not is_current(data, store)
