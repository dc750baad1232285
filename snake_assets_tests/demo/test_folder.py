"""Folders that appear whole or not at all, and never over someone's files."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.demo.folder import ForeignFolderError, Stamp, place_folder

STAMP: Stamp = {"holds": "a test", "version": 1}


def names_in(folder: Path) -> set[str]:
    """Of all but the demo's own hidden files, which outlast it: a lock, a stamp."""
    return {path.name for path in folder.iterdir()} - {".set.lock", ".file.lock", ".snake-demo.json"}


def _fill(folder: Path) -> None:
    (folder / "a.txt").write_text("a")


def test_a_folder_is_made_or_taken_if_empty_and_then_left_alone(tmp_path: Path):
    for folder in (tmp_path / "deep" / "er" / "set", tmp_path / "set"):
        if folder.parent == tmp_path:
            folder.mkdir()
        place_folder(folder, STAMP, _fill)
        assert (folder / "a.txt").read_text() == "a"
        (folder / "a.txt").write_text("changed")
        place_folder(folder, STAMP, _fill)
        assert (folder / "a.txt").read_text() == "changed"
        with pytest.raises(ForeignFolderError, match="delete it"):
            place_folder(folder, {**STAMP, "version": 2}, _fill)


def test_of_two_one_waits_and_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    place = (
        "import sys\nfrom pathlib import Path\nfrom snake_assets.demo.folder import place_folder\n"
        "def fill(folder):\n    (folder / 'half.txt').write_text('a')\n"
        "    print('filling', flush=True)\n    input()\n"
        f"place_folder(Path(sys.argv[1]), {dict(STAMP)!r}, fill)"
    )
    command = [sys.executable, "-c", place, str(tmp_path / "set")]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed,
        ThreadPoolExecutor() as pool,
    ):
        assert killed.stdout and killed.stdout.readline() == b"filling\n"
        waiting = pool.submit(place_folder, tmp_path / "set", STAMP, _fill)
        killed.kill()
        waiting.result()
    assert names_in(tmp_path / "set") == {"a.txt"}
    assert names_in(tmp_path) == {"set"}


def test_folder_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def fill_while_a_user_writes(folder: Path) -> None:
        _fill(folder)
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "mine.txt").write_text("mine")

    with pytest.raises(OSError):
        place_folder(tmp_path / "set", STAMP, fill_while_a_user_writes)
    assert names_in(tmp_path / "set") == {"mine.txt"}
    assert names_in(tmp_path) == {"set"}


@pytest.mark.parametrize("make", [draw_demo_set, build_demo_backbone])
def test_users_files_are_refused_and_kept(tmp_path: Path, make):
    (tmp_path / "set").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "set" / "mine.txt").write_text("mine")
    for mine in ("set", "file"):
        with pytest.raises(ForeignFolderError, match="choose another folder" if mine == "set" else None):
            make(tmp_path / mine)
    assert (tmp_path / "set" / "mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    assert names_in(tmp_path) == {"file", "set"}
