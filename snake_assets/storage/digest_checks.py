"""Whether a shard's file is still the one that was committed: its SHA-256 held against the manifest's.

Pages carry checksums of their own (CRC-32), and the footer, which says where they lie and what they mean, has
its digest in the manifest; so both are checked whatever part of a file is read.
"""

import hashlib
import os
import struct
from collections.abc import Callable
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
FOOTER_END = struct.Struct("<I4s")  # length of what stands before it, and the format's magic


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
    size = path.stat().st_size
    a_glance = _when() is CheckDigests.first and size > SMALL and wanted_bytes < MUCH * size
    if not a_glance:
        _check(path, file_digest, sha256, table)


def check_footer(path: Path, footer_sha256: str, table: str) -> None:
    """As `check_digest`, for the footer alone, which is little to read: there are no glances here.

    Raises:
        StorageError: the digest is another, the file is no parquet file, or SNAKE_CHECK_DIGESTS is no word.
        OSError: the file cannot be read.
    """
    _check(path, footer_digest, footer_sha256, table)


def footer_digest(path: Path) -> str:
    """SHA-256, as hex, of the footer of a parquet file; of all of its bytes where they cannot be a footer.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - FOOTER_END.size))
        end = file.read()
        length = FOOTER_END.unpack(end)[0] if len(end) == FOOTER_END.size else size
        file.seek(max(0, size - FOOTER_END.size - length))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, digest: Callable[[Path], str], sha256: str, table: str) -> None:
    when = _when()
    status = path.stat()
    known = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, sha256)
    if when is CheckDigests.never or (when is CheckDigests.first and known in _checked):
        return
    found = digest(path)
    if found != sha256:
        raise StorageError(
            f"{path} is not what was committed: its SHA-256 is {found}, the manifest says {sha256}. The "
            f"disk, or somebody, has changed it. Remove this file and materialize {table} again: only what "
            "is missing is made anew."
        )
    _checked.add(known)


def _when() -> CheckDigests:
    if _chosen:
        return _chosen
    text = os.environ.get(VARIABLE) or CheckDigests.first
    if text not in tuple(CheckDigests):
        raise StorageError(
            f"{VARIABLE}={text!r} is not one of {', '.join(CheckDigests)}: set one of them, or unset it."
        )
    return CheckDigests(text)
