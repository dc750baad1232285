"""Folders and objects of a bucket, by the same few verbs that `pathlib.Path` has for folders and files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from snake_assets.storage.bucket import GET, LIST, Bucket
from snake_assets.storage.errors import StorageError

if TYPE_CHECKING:
    from google.cloud import storage

SCHEME = "gs://"
# The digest of an object's bytes, kept with it by whoever wrote it.
SHA256 = "sha256"


@dataclass(frozen=True)
class Stored:
    """What the bucket says of an object: bytes, generation (another for whatever is written), checksum."""

    size: int
    generation: int
    crc32c: str
    notes: Mapping[str, str]


@dataclass(frozen=True)
class BucketPath:
    """A folder or an object of a bucket; `key` is its name there, without slashes at its ends."""

    bucket: Bucket
    key: str

    def __truediv__(self, name: str) -> "BucketPath":
        """What has that name in this folder."""
        return BucketPath(self.bucket, f"{self.key}/{name}".strip("/"))

    def __str__(self) -> str:
        """The URL."""
        return f"{SCHEME}{self.bucket.name}/{self.key}"

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def parent(self) -> "BucketPath":
        """The folder that it is in."""
        return BucketPath(self.bucket, self.key.rpartition("/")[0])

    def read_bytes(self) -> bytes:
        """The whole object, held against the bucket's checksum.

        Raises:
            FileNotFoundError: there is no such object.
            StorageError: it cannot be had.
        """
        bucket = self.bucket

        def load(found: "storage.Bucket") -> bytes:
            content: bytes = found.blob(self.key).download_as_bytes(
                raw_download=True, checksum="crc32c", timeout=bucket.timeout, retry=bucket.retry()
            )
            return content

        return bucket.ask(self, GET, load)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole object as text."""
        return self.read_bytes().decode(encoding)

    def stored(self) -> Stored:
        """What the bucket says of the object. Raises as `read_bytes`."""
        bucket = self.bucket

        def look(found: "storage.Bucket") -> Stored:
            blob = found.blob(self.key)
            blob.reload(timeout=bucket.timeout, retry=bucket.retry())
            return _stored(blob)

        return bucket.ask(self, GET, look)

    def listed(self, deep: bool = False) -> dict[str, Stored]:
        """The objects of a folder by name, or by path if those of the folders in it are wanted too (`deep`).

        Raises:
            StorageError: they cannot be had.
        """
        prefix = f"{self.key}/" if self.key else ""
        bucket = self.bucket

        def names(found: "storage.Bucket") -> dict[str, Stored]:
            blobs = found.client.list_blobs(
                found,
                prefix=prefix,
                delimiter=None if deep else "/",
                timeout=bucket.timeout,
                retry=bucket.retry(),
            )
            return {blob.name.removeprefix(prefix): _stored(blob) for blob in blobs}

        return bucket.ask(self, LIST, names)


def _stored(blob: "storage.Blob") -> Stored:
    return Stored(int(blob.size), int(blob.generation), str(blob.crc32c), dict(blob.metadata or {}))


def bucket_root(text: str, variable: str) -> tuple[str, str]:
    """Bucket and key that a setting names.

    Raises:
        StorageError: it is not the URL of a bucket, or of a folder in one; names `variable`.
    """
    name, _, key = text.removeprefix(SCHEME).partition("/")
    parts = [part for part in key.split("/") if part]
    if (
        not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name)
        or re.search(r"[\x00-\x1f\x7f?#*\[\]]", key)
        or {".", ".."} & set(parts)
    ):
        raise StorageError(
            f"{variable}={text!r} names no bucket: set it to {SCHEME}BUCKET or {SCHEME}BUCKET/FOLDER."
        )
    return name, "/".join(parts)
