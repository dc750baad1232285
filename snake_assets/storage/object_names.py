"""Names of objects that are to become files: anything may stand in a bucket, and not all of it is a path."""

from collections.abc import Collection

from snake_assets.storage.bucket_path import BucketPath
from snake_assets.storage.errors import StorageError

# What file systems take, in bytes.
LONGEST_PART, LONGEST_NAME = 255, 1024


def refuse_unsafe_names(root: BucketPath, names: Collection[str]) -> None:
    """See that each name, below `root`, can be a file's below a folder, beside all the others.

    Raises:
        StorageError: one leads outside, cannot be written, or is a file and a folder at once; names it.
    """
    there = frozenset(names)
    for name in there:
        if fault := _fault(name) or _folder_that_is_a_file(name, there):
            raise StorageError(
                f"{root} holds {name[:200]!r}, which {fault}: nothing of it is fetched. Rename or "
                "remove that object, then run again."
            )


def _fault(name: str) -> str | None:
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\\" in name:
        return "leads outside the folder"
    # Unprintable are control characters, NUL among them, and those that turn the writing round.
    if not name.isprintable():
        return "no file is called"
    if len(name.encode()) > LONGEST_NAME or any(len(part.encode()) > LONGEST_PART for part in parts):
        return "is longer than the name of a file can be"
    return None


def _folder_that_is_a_file(name: str, there: frozenset[str]) -> str | None:
    above = name.rpartition("/")[0]
    while above:
        if above in there:
            return f"lies in {above[:200]!r}, which is an object itself"
        above = above.rpartition("/")[0]
    return None
