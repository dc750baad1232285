"""Roots that users name: a folder, or a bucket of Google Cloud Storage."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from snake_assets.storage import StorageError
from snake_assets.storage.objectstore.gcs import SCHEME, Bucket, BucketPath, bucket_root

if TYPE_CHECKING:
    from google.cloud import storage

# A folder or a file, on a disk or in a bucket. Of what both can do, `/`, name, parent, str, read_bytes and
# read_text are used; all else is in io.py and tables/backends.py.
AnyPath = Path | BucketPath


def local_root(text: str, variable: str) -> Path:
    """The folder that a setting names, absolute, with `~` expanded; it need not exist.

    Raises:
        StorageError: the setting is a URL (of any scheme) or cannot be a path; names `variable`.
    """
    if "://" in text:
        raise StorageError(
            f"{variable}={text!r}: only a folder can be used here. Copy the data to one (from gs:// with "
            f"`gcloud storage rsync -r`) and set {variable} to it."
        )
    if not text.strip() or "\0" in text:
        raise StorageError(
            f"{variable}={text!r} is not a folder: set it to a path, or unset it for the default."
        )
    return Path(text).expanduser().absolute()


def any_root(text: str, variable: str, connect: Callable[[], "storage.Client"]) -> AnyPath:
    """The folder, or the folder in a bucket (`gs://…`), that a setting names; it need not exist.

    Args:
        text: the setting.
        variable: its name, for messages.
        connect: gives the client of Google Cloud Storage; called only for a bucket, and only when it is used.

    Raises:
        StorageError: the setting is neither; names `variable`.
    """
    if "://" in text and not text.startswith(SCHEME):
        raise StorageError(
            f"{variable}={text!r} is neither a folder nor {SCHEME}BUCKET/FOLDER: set one of them."
        )
    if not text.startswith(SCHEME):
        return local_root(text, variable)
    name, key = bucket_root(text, variable)
    return BucketPath(Bucket(name, connect), key)
