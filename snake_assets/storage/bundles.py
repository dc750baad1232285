"""Bundles: a handful of files that belong together, committed in one step by a manifest of their own.

The files of a bundle lie in a numbered folder `_files-<n>` that never changes once the manifest names it. A
new bundle takes a number that the committed one does not use, so the old one stays whole until the manifest
of the new one replaces its own, in one rename. Only then do the plain names beside the manifest, by which
people and other programs find the files, become those of the new ones (hard links, which cost no space), and
the old folder goes. Where a kill comes between, `is_current` and the next writer finish that.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import LOCK, faults_named, only_writer, sync_folder, write_whole
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.manifest import MANIFEST, SCHEMA_VERSION, plain_name
from snake_assets.storage.plain_names import FILES, are_right, put_right

ASIDE = ".next-"


@dataclass(frozen=True)
class Bundle:
    """A committed bundle: its folder, how it was made, and the SHA-256 of every file.

    `inside` is where programs read the files: nothing there changes while a writer is at work. `folder` is
    where people find them by the same names.
    """

    folder: Path
    inside: Path
    recipe: Mapping[str, Json]
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What the bundle holds: its files' digests."""
        return fingerprint(dict(self.files))

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum((self.inside / name).stat().st_size for name in self.files)

    def path(self, name: str) -> Path:
        """The path of one file, to read. Raises StorageError where the bundle has none of that name."""
        return self.inside / self._known(name)

    def shown(self, name: str) -> Path:
        """The path of one file, to show to people. Raises StorageError where there is none of that name."""
        return self.folder / self._known(name)

    def _known(self, name: str) -> str:
        if name not in self.files:
            raise StorageError(f"{self.folder} holds no {name}: materialize {self.folder.name} again.")
        return name


def open_bundle(folder: Path) -> Bundle:
    """Open the bundle in a folder `<store>/<asset>`, checking every file's digest.

    Raises:
        StorageError: nothing has been committed there, or a file is missing or changed.
    """
    while True:
        bundle = _read(folder)
        if bundle is None:
            raise StorageError(f"{folder} holds nothing yet: materialize {folder.name} first.")
        fault = _fault(bundle)
        if fault is None:
            return bundle
        # What is missing may be what a writer has replaced since the manifest was read.
        if _read(folder) == bundle:
            raise StorageError(f"{fault}: materialize {folder.name} again.")


def is_current(folder: Path, recipe: Mapping[str, Json]) -> bool:
    """Whether a folder holds the whole bundle of just this recipe; puts its plain names right if it does.

    Raises:
        StorageError: a plain name is wrong, and cannot be put right, or another run is writing there.
    """
    try:
        bundle = open_bundle(folder)
    except StorageError:
        return False
    if fingerprint(bundle.recipe) != fingerprint(recipe):
        return False
    if not are_right(folder, bundle.inside, bundle.files):
        with only_writer(folder), faults_named(folder):
            _put_right(open_bundle(folder))
    return True


@contextmanager
def write_bundle(folder: Path, recipe: Mapping[str, Json]) -> Iterator[Path]:
    """Give a folder aside to write plain files into; on leaving without an error they are committed.

    Files of the earlier bundle that are not written again are removed.

    Raises:
        StorageError: another run writes there, or the file system refused.
    """
    with only_writer(folder), faults_named(folder):
        for left_over in folder.glob(f"{ASIDE}*"):
            shutil.rmtree(left_over)
        with suppress(StorageError):  # what is damaged is not given its names; it is about to be replaced
            _put_right(open_bundle(folder))
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=folder))
        try:
            yield aside
            _put_right(_committed(folder, aside, recipe))
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _committed(folder: Path, aside: Path, recipe: Mapping[str, Json]) -> Bundle:
    files = {path.name: file_digest(path) for path in sorted(aside.iterdir())}
    # Some libraries write files that only their owner may read; the lock has the user's own default.
    mode = (folder / LOCK).stat().st_mode
    for name in files:
        (aside / name).chmod(mode)
        with (aside / name).open("rb") as file:
            os.fsync(file.fileno())
    aside.chmod(mode | (mode & 0o444) >> 2)  # who may read a file may enter its folder
    sync_folder(aside)
    home = folder / _free_name(folder)
    if home.exists():
        shutil.rmtree(home)  # of a run that was killed before it committed
    aside.replace(home)
    sync_folder(folder)
    content = {"schema_version": SCHEMA_VERSION, "recipe": recipe, "home": home.name, "files": files}
    write_whole(folder / MANIFEST, json.dumps(content, indent=1).encode())
    return Bundle(folder, home, recipe, files)


def _free_name(folder: Path) -> str:
    """The first folder that the committed bundle, as far as its manifest can be read, does not use."""
    try:
        committed = _read(folder)
    except StorageError:
        committed = None
    used = committed.inside.name if committed else None
    return next(name for number in count() if (name := f"{FILES}{number}") != used)


def _put_right(bundle: Bundle) -> None:
    if not are_right(bundle.folder, bundle.inside, bundle.files):
        put_right(bundle.folder, bundle.inside, bundle.files)


def _fault(bundle: Bundle) -> str | None:
    for name, digest in bundle.files.items():
        path = bundle.inside / name
        try:
            if file_digest(path) != digest:
                return f"{path} is changed"
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
    return None


def _read(folder: Path) -> Bundle | None:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        files = {plain_name(name): str(digest) for name, digest in content["files"].items()}
        # Bundles of earlier versions have no folder for their files.
        inside = folder / plain_name(content["home"]) if "home" in content else folder
        return Bundle(folder, inside, content["recipe"], files)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): mend its rights.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is damaged ({error}): materialize {folder.name} again.") from error
