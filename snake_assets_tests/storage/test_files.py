"""Files on their way to the disk: what they hold, how much, and what becomes of a fault."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.storage import files
from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import append, only_writer, whole_file, write_whole


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 60))
def test_size_and_digest_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], sync_every: int
):
    path = tmp_path_factory.mktemp("files") / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "SYNC_EVERY", sync_every)
        with whole_file(path) as file:
            for part in parts:
                file.write(part)
            assert not path.exists()
    data = b"".join(parts)
    assert path.read_bytes() == data
    assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


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


def test_a_file_is_synced_and_then_its_name(tmp_path: Path, synced: list[os.stat_result]):
    write_whole(tmp_path / "a", b"abc")
    file, folder = synced
    assert (file.st_ino, file.st_size) == ((tmp_path / "a").stat().st_ino, 3)
    assert folder.st_ino == tmp_path.stat().st_ino
    assert folder.st_mtime_ns == tmp_path.stat().st_mtime_ns


def test_a_fault_that_only_a_sync_on_the_way_was_told_of_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = iter([OSError(errno.EIO, "Input/output error")])

    def once(descriptor: int) -> None:
        for error in told:
            raise error

    monkeypatch.setattr(files, "SYNC_EVERY", 4)
    monkeypatch.setattr(os, "fsync", once)
    with pytest.raises(StorageError, match=r"Input/output.*run again"), whole_file(tmp_path / "a") as file:
        file.write(b"abcdef")
    assert list(tmp_path.iterdir()) == []


def test_appended_lines_follow_each_other(tmp_path: Path):
    write_whole(tmp_path / "a", b"one\n")
    append(tmp_path / "a", b"two\n")
    append(tmp_path / "a", b"three\n")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\nthree\n"


def test_appending_where_nothing_can_be_written_says_so(tmp_path: Path):
    with pytest.raises(StorageError, match="could not be written"):
        append(tmp_path / "absent" / "a", b"x")


def test_new_folders_last_like_what_is_in_them(tmp_path: Path, synced: list[os.stat_result]):
    with only_writer(tmp_path / "asset" / "split"):
        assert [folder.st_ino for folder in synced] == [
            path.stat().st_ino for path in (tmp_path, tmp_path / "asset")
        ]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path):
    (tmp_path / "store").write_text("")
    with pytest.raises(StorageError, match="SNAKE_STORE"), only_writer(tmp_path / "store" / "split"):
        pass
