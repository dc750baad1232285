"""Bundles: a handful of files that belong together, committed with a manifest of their own."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snake_assets.storage.errors import StorageError
from snake_assets.storage.files import LOCK, only_writer, sync_folder, write_whole
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.manifest import MANIFEST, SCHEMA_VERSION


@dataclass(frozen=True)
class Bundle:
    """A committed bundle: its folder, how it was made, and the SHA-256 of every file."""

    folder: Path
    recipe: Mapping[str, Json]
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What the bundle holds: its files' digests."""
        return fingerprint(dict(self.files))

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum((self.folder / name).stat().st_size for name in self.files)

    def path(self, name: str) -> Path:
        """The path of one file. Raises StorageError where the bundle has none of that name."""
        if name not in self.files:
            raise StorageError(f"{self.folder} holds no {name}: materialize {self.folder.name} again.")
        return self.folder / name


def open_bundle(folder: Path) -> Bundle:
    """Open the bundle in a folder `<store>/<asset>`, checking every file's digest.

    Raises:
        StorageError: nothing has been committed there, or a file is missing or changed.
    """
    bundle = _read(folder)
    if bundle is None:
        raise StorageError(f"{folder} holds nothing yet: materialize {folder.name} first.")
    for name, digest in bundle.files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise StorageError(f"{folder / name} is missing or changed: materialize {folder.name} again.")
    return bundle


def is_current(folder: Path, recipe: Mapping[str, Json]) -> bool:
    """Whether a folder holds the whole bundle of just this recipe."""
    try:
        return fingerprint(open_bundle(folder).recipe) == fingerprint(recipe)
    except StorageError:
        return False


@contextmanager
def write_bundle(folder: Path, recipe: Mapping[str, Json]) -> Iterator[Path]:
    """Give a folder aside to write plain files into; on leaving without an error they are committed.

    Files of the earlier bundle that are not written again are removed.

    Raises:
        StorageError: another run writes there, or the file system refused.
    """
    with only_writer(folder):
        for left_over in folder.glob(".next-*"):
            shutil.rmtree(left_over)
        aside = Path(tempfile.mkdtemp(prefix=".next-", dir=folder))
        try:
            yield aside
            _commit(folder, aside, recipe)
        except OSError as error:
            raise StorageError(
                f"{folder} could not be written ({error.strerror or error}). Free space or mend its rights, "
                f"then run again."
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _commit(folder: Path, aside: Path, recipe: Mapping[str, Json]) -> None:
    written = sorted(path for path in aside.iterdir())
    files = {path.name: file_digest(path) for path in written}
    # Some libraries write files that only their owner may read; the lock has the user's own default.
    mode = (folder / LOCK).stat().st_mode
    for path in written:
        path.chmod(mode)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(folder / path.name)
    sync_folder(folder)
    content = {"schema_version": SCHEMA_VERSION, "recipe": recipe, "files": files}
    write_whole(folder / MANIFEST, json.dumps(content, indent=1).encode())
    for path in folder.iterdir():
        if path.is_file() and path.name not in files and not path.name.startswith("_"):
            path.unlink()


def _read(folder: Path) -> Bundle | None:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        return Bundle(folder, content["recipe"], {str(name): str(d) for name, d in content["files"].items()})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is damaged ({error}): materialize {folder.name} again.") from error
