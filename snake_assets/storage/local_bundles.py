"""Bundles in a folder: a lock keeps other writers away, renames commit, plain names are hard links."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from snake_assets.storage.bundle_keeping import FILES, BundleKeeper
from snake_assets.storage.files import LOCK, faults_named, only_writer, sync_folder, write_whole
from snake_assets.storage.fingerprints import file_digest
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.plain_names import put_right
from snake_assets.storage.tables.manifest import MANIFEST

ASIDE = ".next-"


class LocalBundle(BundleKeeper):
    """The files of a bundle in a folder whose lock is held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A folder beside the files; what killed runs left aside goes."""
        for left_over in self._folder.glob(f"{ASIDE}*"):
            shutil.rmtree(left_over)
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=self._folder))
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def take_in(self, aside: Path, used: str | None) -> tuple[Path, dict[str, str]]:
        """Sync the files, and rename their folder."""
        files = {path.name: file_digest(path) for path in sorted(aside.iterdir())}
        # Some libraries write files that only their owner may read; the lock has the user's own default.
        mode = (self._folder / LOCK).stat().st_mode
        for name in files:
            (aside / name).chmod(mode)
            with (aside / name).open("rb") as file:
                os.fsync(file.fileno())
        aside.chmod(mode | (mode & 0o444) >> 2)  # who may read a file may enter its folder
        sync_folder(aside)
        home = self._folder / next(name for number in count() if (name := f"{FILES}{number}") != used)
        if home.exists():
            shutil.rmtree(home)  # of a run that was killed before it committed
        aside.replace(home)
        sync_folder(self._folder)
        return home, files

    def commit(self, manifest: bytes) -> None:
        """Rename the manifest into its place."""
        write_whole(self._folder / MANIFEST, manifest)

    def put_right(self, inside: AnyPath, files: Mapping[str, str]) -> None:
        """Link the names, if they are not right."""
        assert isinstance(inside, Path)
        put_right(self._folder, inside, files)


@contextmanager
def local_bundle(folder: Path) -> Iterator[LocalBundle]:
    """The files of a folder's bundle, as its only writer. Raises StorageError where another is at work."""
    with only_writer(folder), faults_named(folder):
        yield LocalBundle(folder)
