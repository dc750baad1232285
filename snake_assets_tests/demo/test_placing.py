"""Folders that appear whole or not at all, and never over someone's files."""

from pathlib import Path

import pytest

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.demo.placing import ForeignFolderError, Stamp, place_folder

STAMP: Stamp = {"holds": "a test", "version": 1}


def _fill(folder: Path) -> None:
    (folder / "a.txt").write_text("a")


def test_folder_and_its_parents_are_made(tmp_path: Path) -> None:
    place_folder(tmp_path / "deep" / "er" / "set", STAMP, _fill)
    assert (tmp_path / "deep" / "er" / "set" / "a.txt").read_text() == "a"


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    place_folder(tmp_path / "set", STAMP, _fill)
    assert (tmp_path / "set" / "a.txt").exists()


def test_second_call_does_nothing(tmp_path: Path) -> None:
    place_folder(tmp_path / "set", STAMP, _fill)
    (tmp_path / "set" / "a.txt").write_text("changed")
    place_folder(tmp_path / "set", STAMP, _fill)
    assert (tmp_path / "set" / "a.txt").read_text() == "changed"


def test_other_version_is_refused(tmp_path: Path) -> None:
    place_folder(tmp_path / "set", STAMP, _fill)
    with pytest.raises(ForeignFolderError, match="delete it"):
        place_folder(tmp_path / "set", {**STAMP, "version": 2}, _fill)


def test_folder_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def fill_while_a_user_writes(folder: Path) -> None:
        _fill(folder)
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "mine.txt").write_text("mine")

    with pytest.raises(OSError):
        place_folder(tmp_path / "set", STAMP, fill_while_a_user_writes)
    assert [file.name for file in (tmp_path / "set").iterdir()] == ["mine.txt"]
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


@pytest.mark.parametrize("make", [draw_demo_set, build_demo_backbone])
def test_users_files_are_refused_and_kept(tmp_path: Path, make: object) -> None:
    assert callable(make)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(ForeignFolderError, match="choose another folder"):
        make(tmp_path / "set")
    assert (tmp_path / "set" / "mine.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine")
    with pytest.raises(ForeignFolderError):
        draw_demo_set(tmp_path / "set")
    assert (tmp_path / "set").read_text() == "mine"
