"""Files on their way to the disk: what they hold, how much, and what becomes of a fault."""

import os
from pathlib import Path

import pytest

from snake_assets.storage import StorageError
from snake_assets.storage.local_files import only_writer, write_whole


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[os.stat_result]:
    """What was synced, as it was at that moment."""
    seen: list[os.stat_result] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        seen.append(os.fstat(descriptor))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return seen


def test_a_file_is_synced_and_then_its_name_and_new_folders_likewise(
    tmp_path: Path, synced: list[os.stat_result]
):
    write_whole(tmp_path / "a", b"abc")
    file, folder = synced
    assert (file.st_ino, file.st_size) == ((tmp_path / "a").stat().st_ino, 3)
    assert (folder.st_ino, folder.st_mtime_ns) == (tmp_path.stat().st_ino, tmp_path.stat().st_mtime_ns)
    synced.clear()
    with only_writer(tmp_path / "asset" / "split"):
        assert [folder.st_ino for folder in synced] == [
            path.stat().st_ino for path in (tmp_path, tmp_path / "asset")
        ]


def test_a_full_disk_says_what_to_do_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left.*run again"):
        write_whole(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_one_is_told_and_a_file_in_the_folders_place_is_named(tmp_path: Path):
    with only_writer(tmp_path), pytest.raises(StorageError, match="Another run"), only_writer(tmp_path):
        pass
    with only_writer(tmp_path):
        pass
    (tmp_path / "store").write_text("")
    with pytest.raises(StorageError, match="SNAKE_STORE"), only_writer(tmp_path / "store" / "split"):
        pass
