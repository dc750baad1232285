"""Whether a shard's file is still the one that was committed: its SHA-256 held against the manifest's."""

import os
from enum import StrEnum
from pathlib import Path

from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import file_digest

VARIABLE = "SNAKE_CHECK_DIGESTS"


class CheckDigests(StrEnum):
    """When digests are checked: on every reading, once per process and file that is read, or not at all."""

    always = "always"
    first = "first"
    never = "never"


# A glance at two columns of a shard of photos is not to cost a reading of the photos.
SMALL, MUCH = 8 << 20, 1 / 4

_chosen: CheckDigests | None = None
_checked: set[tuple[str, int, int, int, str]] = set()


def choose(when: CheckDigests | None) -> None:
    """Set for this process when digests are checked; None leaves it to SNAKE_CHECK_DIGESTS, else `first`."""
    global _chosen
    _chosen = when


def check_digest(path: Path, sha256: str, table: str, wanted_bytes: int) -> None:
    """Read a file of a table in full, where that is asked for, and hold its SHA-256 against the manifest's.

    A file counts as another when its inode, size or time of change is another. With `first`, files above 8
    MiB of which less than a quarter is wanted are not checked.

    Args:
        path: the file.
        sha256: what the manifest says.
        table: name of the table, for the message.
        wanted_bytes: how much of the file is about to be read.

    Raises:
        StorageError: the digest is another, or SNAKE_CHECK_DIGESTS is none of always, first, never.
        OSError: the file cannot be read.
    """
    when = _chosen or _from_environment()
    if when is CheckDigests.never:
        return
    status = path.stat()
    known = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, sha256)
    a_glance = status.st_size > SMALL and wanted_bytes < MUCH * status.st_size
    if when is CheckDigests.first and (known in _checked or a_glance):
        return
    found = file_digest(path)
    if found != sha256:
        raise StorageError(
            f"{path} is not what was committed: its SHA-256 is {found}, the manifest says {sha256}. The "
            f"disk, or somebody, has changed it. Remove this file and materialize {table} again: only what "
            "is missing is made anew."
        )
    _checked.add(known)


def _from_environment() -> CheckDigests:
    text = os.environ.get(VARIABLE) or CheckDigests.first
    if text not in tuple(CheckDigests):
        raise StorageError(
            f"{VARIABLE}={text!r} is not one of {', '.join(CheckDigests)}: set one of them, or unset it."
        )
    return CheckDigests(text)
