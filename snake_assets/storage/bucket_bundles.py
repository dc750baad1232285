"""Bundles in a bucket: the manifest decides, as with tables (bucket_tables.py); plain names are copies."""

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from snake_assets.storage.bucket_manifest import BucketManifest
from snake_assets.storage.bucket_path import BucketPath, Stored
from snake_assets.storage.bundle_keeping import FILES, BundleKeeper
from snake_assets.storage.fingerprints import file_digest
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.uploads import NOTHING, put_object


class BucketBundle(BundleKeeper):
    """The objects of a bundle, for a writer that may turn out not to be the only one."""

    def __init__(self, folder: BucketPath) -> None:
        self._folder, self._manifest = folder, BucketManifest(folder)
        self._home = folder / f"{FILES}{uuid.uuid4().hex[:12]}"

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A temporary folder."""
        with tempfile.TemporaryDirectory(prefix="snake-bundle-") as aside:
            yield Path(aside)

    def take_in(self, aside: Path, used: str | None) -> tuple[BucketPath, dict[str, str]]:
        """Upload the files, to a folder of this writer's own."""
        files = {}
        for path in sorted(aside.iterdir()):
            files[path.name] = file_digest(path)
            with path.open("rb") as content:
                put_object(self._home / path.name, content, path.stat().st_size, files[path.name], NOTHING)
        return self._home, files

    def commit(self, manifest: bytes) -> None:
        """Replace the manifest that this writer began on; then remove the files of other ones."""
        there = self._folder.listed(deep=True)
        self._manifest.replace(manifest)
        self._manifest.remove(
            {
                self._folder / name: found
                for name, found in there.items()
                if name.startswith(FILES) and not name.startswith(f"{self._home.name}/")
            }
        )

    def put_right(self, inside: AnyPath, files: Mapping[str, str]) -> None:
        """Copy the files to their plain names, where those say something else, unless a later writer does."""
        assert isinstance(inside, BucketPath)
        there = self._folder.listed(deep=True)
        for name in _wrong(there, inside, files):
            self._manifest.publish_copy(inside / name, self._folder / name)
        self._manifest.remove_published({self._folder / name: there[name] for name in _others(there, files)})


def names_are_right(folder: BucketPath, inside: BucketPath, files: Mapping[str, str]) -> bool:
    """Whether every file of the bundle has its plain name, and no plain name of another bundle is left.

    Args:
        folder: of the bundle, where the plain names are.
        inside: where its files are.
        files: name -> SHA-256.
    """
    there = folder.listed(deep=True)
    return not _wrong(there, inside, files) and not _others(there, files)


def _wrong(there: Mapping[str, Stored], inside: BucketPath, files: Mapping[str, str]) -> list[str]:
    def content(name: str) -> tuple[int, str] | None:
        found = there.get(name)
        return (found.size, found.crc32c) if found else None

    return [name for name in files if content(name) != content(f"{inside.name}/{name}")]


def _others(there: Mapping[str, Stored], files: Mapping[str, str]) -> list[str]:
    return [name for name in there if "/" not in name and not name.startswith("_") and name not in files]


@contextmanager
def bucket_bundle(folder: BucketPath) -> Iterator[BucketBundle]:
    """The objects of a bundle, for one writer."""
    yield BucketBundle(folder)
