"""Folders that appear whole or not at all, and never over somebody's files."""

import fcntl
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

STAMP_NAME = ".snake-demo.json"

Stamp = Mapping[str, str | int | float]


class ForeignFolderError(FileExistsError):
    """The folder holds something that was not made by this version of the demo with these arguments."""


def place_folder(folder: Path, stamp: Stamp, fill: Callable[[Path], None]) -> None:
    """Have `fill` write into a new folder aside, which becomes `folder` once it is complete.

    `stamp` tells what the folder holds; where a folder with an equal stamp stands already, nothing is done.
    Of two that place at once, one waits. What `fill` raises is raised, and nothing stays behind; what a
    process that was killed left is removed by the next call.

    Raises:
        ForeignFolderError: `folder` is a file or holds anything else.
        OSError: it cannot be written, or somebody has put files there meanwhile.
    """
    folder = folder.resolve()
    if _is_placed(folder, stamp):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.part")
    # The lock is freed however its process ends.
    with folder.with_name(f".{folder.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_placed(folder, stamp):
            return
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            fill(aside)
            (aside / STAMP_NAME).write_text(json.dumps(dict(stamp)) + "\n", encoding="utf-8")
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _is_placed(folder: Path, stamp: Stamp) -> bool:
    try:
        placed: object = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        placed = None
    if placed == dict(stamp):
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ForeignFolderError(
            f"{folder} holds something other than {json.dumps(dict(stamp))}. "
            "Nothing was changed. Move it away or delete it, or choose another folder."
        )
    return False
