"""Bundles: a handful of files that belong together, committed in one step by a manifest of their own.

The files lie in a folder `_files-…` that never changes once the manifest names it. A new bundle takes
another one, so the old one stays whole until the new manifest replaces its own. Only then do the plain names
beside the manifest, by which people and other programs find the files, become those of the new ones, and the
old folder goes. Where a kill comes between, `is_current` and the next writer finish that.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.io import digest, sizes
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.backends import backend_of, writing
from snake_assets.storage.tables.manifest import MANIFEST, SCHEMA_VERSION, plain_name


@dataclass(frozen=True)
class Bundle:
    """A committed bundle: its folder, how it was made, and the SHA-256 of every file.

    `inside` is where programs read the files: nothing there changes while a writer is at work. `folder` is
    where people find them by the same names.
    """

    folder: AnyPath
    inside: AnyPath
    recipe: Mapping[str, Json]
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What the bundle holds: its files' digests."""
        return fingerprint(dict(self.files))

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        there = sizes(self.inside)
        return sum(there[name] for name in self.files)

    def path(self, name: str) -> AnyPath:
        """The path of one file, to read. Raises StorageError where the bundle has none of that name."""
        return self.inside / self._known(name)

    def shown(self, name: str) -> AnyPath:
        """The path of one file, to show to people. Raises StorageError where there is none of that name."""
        return self.folder / self._known(name)

    def _known(self, name: str) -> str:
        if name not in self.files:
            raise StorageError(f"{self.folder} holds no {name}: materialize {self.folder.name} again.")
        return name


def open_bundle(folder: AnyPath) -> Bundle:
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


def is_current(folder: AnyPath, recipe: Mapping[str, Json]) -> bool:
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
    if not backend_of(folder).names_are_right(bundle.inside, bundle.files):
        with writing(folder) as backend:
            bundle = open_bundle(folder)
            backend.put_names_right(bundle.inside, bundle.files)
    return True


@contextmanager
def write_bundle(folder: AnyPath, recipe: Mapping[str, Json]) -> Iterator[Path]:
    """Give a folder aside to write plain files into; on leaving without an error they are committed.

    Files of the earlier bundle that are not written again are removed.

    Raises:
        StorageError: another run writes there or, in a bucket, has committed meanwhile; or the file system
            or the bucket refused.
    """
    with writing(folder) as backend:
        used = None
        with suppress(StorageError):  # what is damaged is about to be replaced
            committed = _read(folder)
            used = committed.inside.name if committed else None
            whole = open_bundle(folder)
            backend.put_names_right(whole.inside, whole.files)
        with backend.aside() as aside:
            yield aside
            files = {path.name: file_digest(path) for path in sorted(aside.iterdir())}
            home = backend.take_in(aside, files, used)
            content = {"schema_version": SCHEMA_VERSION, "recipe": recipe, "home": home.name, "files": files}
            backend.commit(json.dumps(content, indent=1).encode(), {home.name}, {})
            backend.put_names_right(home, files)


def _fault(bundle: Bundle) -> str | None:
    for name, promised in bundle.files.items():
        path = bundle.inside / name
        try:
            if digest(path) != promised:
                return f"{path} is changed"
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            return f"{path} {'is missing' if missing else f'cannot be read ({error.strerror})'}"
    return None


def _read(folder: AnyPath) -> Bundle | None:
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
