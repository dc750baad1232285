"""The names by which people find the files of a bundle, which lie in a folder of their own."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from snake_assets.storage.bundle_keeping import FILES
from snake_assets.storage.files import sync_folder
from snake_assets.storage.fingerprints import file_digest


def are_right(folder: Path, inside: Path, files: Mapping[str, str]) -> bool:
    """Whether every file of the bundle has its plain name, and no file of another bundle is left.

    Args:
        folder: of the bundle, where the plain names are.
        inside: where its files are.
        files: name -> SHA-256.
    """
    return all(_is_right(inside / name, folder / name, digest) for name, digest in files.items()) and all(
        home == inside for home in folder.glob(f"{FILES}*")
    )


def put_right(folder: Path, inside: Path, files: Mapping[str, str]) -> None:
    """Give the files their plain names, and remove what is not of the bundle; for the folder's one writer.

    Raises:
        OSError: a fault of the file system.
    """
    for name in files:
        if inside != folder:
            aside = folder / f".{name}.{os.getpid()}.tmp"
            aside.unlink(missing_ok=True)
            try:
                os.link(inside / name, aside)
            except OSError:  # a file system without hard links
                shutil.copy(inside / name, aside)
            aside.replace(folder / name)
    sync_folder(folder)
    for path in folder.iterdir():
        if path.is_file() and path.name not in files and not path.name.startswith("_"):
            path.unlink()
    for home in folder.glob(f"{FILES}*"):
        if home != inside:
            shutil.rmtree(home)


def _is_right(file: Path, named: Path, digest: str) -> bool:
    return named.is_file() and (file.samefile(named) or file_digest(named) == digest)
