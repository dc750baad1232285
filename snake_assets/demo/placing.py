"""Folders that appear whole or not at all."""

import fcntl
import glob
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

STAMP_NAME = ".snake-demo.json"

Stamp = Mapping[str, str | int | float]


class ForeignFolderError(FileExistsError):
    """The folder holds something that was not made by this version of the demo with these arguments."""


def _holds(folder: Path, stamp: Stamp) -> bool:
    try:
        return bool(json.loads((folder / STAMP_NAME).read_text(encoding="utf-8")) == dict(stamp))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def place_folder(folder: Path, stamp: Stamp, fill: Callable[[Path], None]) -> None:
    """Has `fill` write into a new folder aside and renames it to `folder` once it is complete.

    `stamp` tells what the folder holds; where a folder with an equal stamp stands already, nothing is done.
    Whoever comes second of two that place at once drops its own copy. What `fill` raises is raised, and
    nothing stays behind; what a process that was killed left is removed by the next call. Raises
    ForeignFolderError when `folder` is a file or holds anything else.
    """
    folder = folder.resolve()
    _remove_dead_drafts(folder)
    if _holds(folder, stamp):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ForeignFolderError(
            f"{folder} holds something other than {json.dumps(dict(stamp))}. "
            "Nothing was changed. Move it away or delete it, or choose another folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft, stamp_file = _new_draft(folder)
    with stamp_file:
        try:
            fill(draft)
            stamp_file.write(json.dumps(dict(stamp)) + "\n")
            stamp_file.flush()
            try:
                draft.rename(folder)
            except OSError:
                if not _holds(folder, stamp):
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _new_draft(folder: Path) -> tuple[Path, TextIO]:
    """An empty folder aside, and the file for its stamp: locked, until its process ends, however it ends."""
    while True:
        draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
        draft.mkdir()
        # Before it is locked it may be taken for one that was left behind.
        with suppress(FileNotFoundError):
            file = (draft / STAMP_NAME).open("x", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX)
            if (draft / STAMP_NAME).exists():
                return draft, file
            file.close()


def _remove_dead_drafts(folder: Path) -> None:
    for draft in folder.parent.glob(f".{glob.escape(folder.name)}.{'[0-9a-f]' * 32}.part"):
        try:
            with (draft / STAMP_NAME).open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(draft, ignore_errors=True)
        except BlockingIOError:
            pass  # it is being written
        except FileNotFoundError:
            with suppress(OSError):
                draft.rmdir()
