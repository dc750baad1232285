"""The manifest of a folder in a bucket, and what may be done by whoever has replaced it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from snake_assets.storage.bucket import DELETE, GET, Overtaken
from snake_assets.storage.bucket_path import BucketPath, Stored
from snake_assets.storage.errors import StorageError
from snake_assets.storage.tables.manifest import MANIFEST
from snake_assets.storage.uploads import NOTHING, content_type, put_bytes

if TYPE_CHECKING:
    from google.cloud import storage


class BucketManifest:
    """The manifest as a writer found it; `generation` is what the writer replaces, then what it wrote."""

    def __init__(self, folder: BucketPath) -> None:
        self._folder, self._path = folder, folder / MANIFEST
        self.generation = _generation(self._path)

    def replace(self, content: bytes) -> None:
        """Commit. Raises StorageError where another has since this writer began, or where it is refused."""
        try:
            self.generation = put_bytes(self._path, content, self.generation)
        except Overtaken:
            raise overtaken(self._folder) from None

    def publish(self, path: BucketPath, content: bytes) -> None:
        """Write an object that says for people what the manifest says, unless a later writer has done so."""
        self._publish(path, lambda instead_of: put_bytes(path, content, instead_of))

    def publish_copy(self, source: BucketPath, path: BucketPath) -> None:
        """The same with a copy of another object, which the bucket makes by itself."""
        self._publish(path, lambda instead_of: _copy(source, path, instead_of))

    def _publish(self, path: BucketPath, write: Callable[[int], object]) -> None:
        # A later writer publishes after its commit. So one that committed before the second look, below, has
        # nothing published of its own yet or is noticed by the precondition.
        while True:
            instead_of = _generation(path)
            if _generation(self._path) != self.generation:
                return
            try:
                write(instead_of)
                return
            except Overtaken:
                continue
            except FileNotFoundError:
                return  # what was to be copied has gone with its bundle: a later writer has replaced it

    def remove_published(self, there: Mapping[BucketPath, Stored]) -> None:
        """Remove what an earlier writer published, as it was listed, unless a later one has committed."""
        if there and _generation(self._path) == self.generation:
            self.remove(there)

    def remove(self, there: Mapping[BucketPath, Stored]) -> None:
        """Remove objects, as they were when they were listed; one that is gone, or another, is left alone."""
        for path, found in there.items():
            _remove(path, found.generation)


def overtaken(folder: BucketPath) -> StorageError:
    """What is told to a writer whom another one has overtaken."""
    return StorageError(
        f"Another run has written {folder} since this one began, and what it wrote stays: run again."
    )


def _generation(path: BucketPath) -> int:
    try:
        return path.stored().generation
    except FileNotFoundError:
        return NOTHING


def _remove(path: BucketPath, generation: int) -> None:
    bucket = path.bucket
    with suppress(FileNotFoundError, Overtaken):
        bucket.ask(
            path,
            DELETE,
            lambda found: found.blob(path.key).delete(
                if_generation_match=generation, timeout=bucket.timeout, retry=bucket.retry()
            ),
        )


def _copy(source: BucketPath, path: BucketPath, instead_of: int) -> None:
    bucket = path.bucket

    def copy(found: "storage.Bucket") -> None:
        blob, token = found.blob(path.key), None
        blob.content_type = content_type(path)
        while True:
            token, _, _ = blob.rewrite(
                found.blob(source.key),
                token=token,
                if_generation_match=instead_of,
                timeout=bucket.timeout,
                retry=bucket.retry(),
            )
            if token is None:
                return

    bucket.ask(path, GET, copy)
