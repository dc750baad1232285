"""Folders that appear whole or not at all."""

import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

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
    nothing stays behind. Raises ForeignFolderError when `folder` is a file or holds anything else.
    """
    folder = folder.resolve()
    if _holds(folder, stamp):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ForeignFolderError(
            f"{folder} holds something other than {json.dumps(dict(stamp))}. "
            "Nothing was changed. Move it away or delete it, or choose another folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    draft.mkdir()
    try:
        fill(draft)
        (draft / STAMP_NAME).write_text(json.dumps(dict(stamp)) + "\n", encoding="utf-8")
        try:
            draft.rename(folder)
        except OSError:
            if not _holds(folder, stamp):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
