"""Whether a shard's file is still the one that was committed: its SHA-256 held against the manifest's.

Pages carry checksums of their own (CRC-32), and the footer, which says where they lie and what they mean, has
its digest in the manifest; so both are checked whatever part of a file is read.
"""

import os
import struct
from collections.abc import Callable
from enum import StrEnum

from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import bytes_digest
from snake_assets.storage.keeping import Status, digest, opened
from snake_assets.storage.paths import AnyPath

VARIABLE = "SNAKE_CHECK_DIGESTS"


class CheckDigests(StrEnum):
    """When digests are checked: on every reading, once per process and file that is read, or not at all."""

    always = "always"
    first = "first"
    never = "never"


# A glance at two columns of a shard of photos is not to cost a reading of the photos.
SMALL, MUCH = 8 << 20, 1 / 4

_chosen: CheckDigests | None = None
_checked: set[tuple[object, ...]] = set()
FOOTER_END = struct.Struct("<I4s")  # length of what stands before it, and the format's magic


def choose(when: CheckDigests | None) -> None:
    """Set for this process when digests are checked; None leaves it to SNAKE_CHECK_DIGESTS, else `first`."""
    global _chosen
    _chosen = when


def check_digest(file: AnyPath, there: Status, sha256: str, table: str, wanted_bytes: int) -> None:
    """Read a file of a table in full, where that is asked for, and hold its SHA-256 against the manifest's.

    A file counts as another when its inode, size or time of change is another. With `first`, files above 8
    MiB of which less than a quarter is wanted are not checked; nor is an object of a bucket read for it: its
    bytes do not change, and the digest that was noted with them as they were written is what counts.

    Args:
        file: the file.
        there: what is known of it.
        sha256: what the manifest says.
        table: name of the table, for the message.
        wanted_bytes: how much of the file is about to be read.

    Raises:
        StorageError: the digest is another, or SNAKE_CHECK_DIGESTS is none of always, first, never.
        OSError: the file cannot be read.
    """
    a_glance = _when() is CheckDigests.first and there.size > SMALL and wanted_bytes < MUCH * there.size
    if not a_glance:
        _check(file, there, digest, sha256, sha256, table)


def check_footer(file: AnyPath, there: Status, footer_sha256: str, sha256: str, table: str) -> None:
    """As `check_digest`, for the footer alone, which is little to read: there are no glances here.

    Args:
        file: the file.
        there: what is known of it.
        footer_sha256: what the manifest says of the footer.
        sha256: and of the whole file.
        table: name of the table, for the message.

    Raises:
        StorageError: the digest is another, the file is no parquet file, or SNAKE_CHECK_DIGESTS is no word.
        OSError: the file cannot be read.
    """
    _check(file, there, footer_digest, footer_sha256, sha256, table)


def footer_digest(file: AnyPath) -> str:
    """SHA-256, as hex, of the footer of a parquet file; of all of its bytes where they cannot be a footer.

    Raises:
        OSError: the file cannot be read.
    """
    with opened(file) as content:
        size = content.seek(0, os.SEEK_END)
        content.seek(max(0, size - FOOTER_END.size))
        end = content.read()
        length = FOOTER_END.unpack(end)[0] if len(end) == FOOTER_END.size else size
        content.seek(max(0, size - FOOTER_END.size - length))
        return bytes_digest(content.read())


def _check(
    file: AnyPath, there: Status, digest: Callable[[AnyPath], str], sha256: str, of_all: str, table: str
) -> None:
    when = _when()
    known = (*there.identity, sha256)
    if when is CheckDigests.never:
        return
    if when is CheckDigests.first and (known in _checked or there.sha256 == of_all):
        return
    found = digest(file)
    if found != sha256:
        raise StorageError(
            f"{file} is not what was committed: its SHA-256 is {found}, the manifest says {sha256}. The "
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
