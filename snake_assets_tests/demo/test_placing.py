"""Folders that appear whole or not at all, and never over someone's files."""

import subprocess
import sys
from pathlib import Path

import pytest

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.demo.scene import STAMP_NAME, ForeignFolderError, Stamp, place_folder

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


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    place = (
        "import sys\nfrom pathlib import Path\nfrom snake_assets.demo.scene import place_folder\n"
        "def fill(folder):\n    (folder / 'a.txt').write_text('a')\n"
        "    print('filling', flush=True)\n    input()\n"
        f"place_folder(Path(sys.argv[1]), {dict(STAMP)!r}, fill)"
    )
    foreign = [tmp_path / ".set.mine.part", tmp_path / f".other.{'0' * 32}.part"]
    for folder in foreign:
        folder.mkdir()
    command = [sys.executable, "-c", place, str(tmp_path / "set")]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as alive,
    ):
        assert killed.stdout and alive.stdout and alive.stdin
        assert killed.stdout.readline() == alive.stdout.readline() == b"filling\n"
        killed.kill()
        killed.wait()
        assert len(list(tmp_path.glob(".set.*.part/a.txt"))) == 2
        place_folder(tmp_path / "set", STAMP, _fill)
        assert len(list(tmp_path.glob(".set.*.part/a.txt"))) == 1
        alive.communicate(b"\n")
        assert alive.returncode == 0
    assert sorted(tmp_path.iterdir()) == sorted([*foreign, tmp_path / "set"])


def test_what_was_left_beside_a_whole_folder_is_removed(tmp_path: Path) -> None:
    place_folder(tmp_path / "set", STAMP, _fill)
    dead = tmp_path / f".set.{'0' * 32}.part"
    (dead / "images").mkdir(parents=True)
    (dead / STAMP_NAME).touch()
    (tmp_path / f".set.{'1' * 32}.part").mkdir()
    place_folder(tmp_path / "set", STAMP, _fill)
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


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
