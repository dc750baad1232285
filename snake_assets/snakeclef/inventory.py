"""The inventory of a split: every photo file with its size and time, after unpacking where needed."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from snake_assets.snakeclef.archives import SUFFIXES, Unpacked, find_archives, unpack
from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.photo_files import PhotoFile, find_photos
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.manifest import Manifest, read_manifest
from snake_assets.storage.places import AnyPath
from snake_assets.storage.tables import Table
from snake_assets.storage.writer import write_table

INVENTORY_SCHEMA = pa.schema(
    [("path", pa.string()), ("place", pa.string()), ("bytes", pa.int64()), ("modified_ns", pa.int64())]
)
UNPACKED = "unpacked"
# Counts as an input: raise it when the same files would give another inventory.
INVENTORY_VERSION = 1


@dataclass(frozen=True)
class Inventory:
    """What `take_inventory` found.

    `unpacked` tells of the archives that were unpacked now; `left_packed` names archives that were not
    needed, because the split has photos beside them.
    """

    manifest: Manifest
    photo_bytes: int
    unpacked: Mapping[str, Unpacked]
    left_packed: tuple[str, ...]


def take_inventory(data: Path, split: str, folder: AnyPath) -> Inventory:
    """Find a split's photos, unpack its archives if it has no photos, and commit the table `raw_images`.

    Args:
        data: root of the raw data.
        split: train, val or test.
        folder: the table's folder; archives are unpacked to a folder in it.

    Raises:
        DataError: the split has neither photos nor archives, or an archive is refused, as any is where the
            store is in a bucket.
        StorageError: the store cannot be written.
    """
    photos = find_photos(data, split)
    archives = find_archives(data, split)
    unpacked: dict[str, Unpacked] = {}
    homes: list[str] = []
    with write_table(folder, "raw_images", split, INVENTORY_SCHEMA, _recipe(data)) as writer:
        if archives and not photos:
            homes = sorted(_home(archive) for archive in archives)
            target = _unpacked_of(folder, archives)
            unpacked = _unpack_all(archives, target)
            photos = [photo for home in homes for photo in find_photos(target, home)]
            archives = []
        elif not photos and isinstance(folder, Path) and _was_made_of(data, folder):
            # The archives may have been removed after they were unpacked.
            photos = find_photos(folder / UNPACKED, ".")
        if not photos:
            raise DataError(
                f"The split {split!r} is empty: no photo (.jpg, .jpeg, .png in any case) below "
                f"{data / split} and no archive ({', '.join(SUFFIXES)}) there or in {data}. "
                "Put the photos or archives there."
            )
        rows = [_row(photo, data) for photo in photos]
        unit = fingerprint(rows)
        if not writer.has(unit):
            writer.write(unit, pa.Table.from_pylist(rows, schema=INVENTORY_SCHEMA).to_batches())
        manifest = writer.commit([unit])
        if homes and isinstance(folder, Path):
            _remove_others(folder / UNPACKED, homes)
    return Inventory(
        manifest,
        sum(photo.bytes for photo in photos),
        unpacked,
        tuple(archive.name for archive in archives),
    )


def inventory_is_current(
    data: Path, photos: Sequence[PhotoFile], archives: Sequence[Path], folder: AnyPath
) -> bool:
    """Whether `take_inventory` would find what it has found before.

    Args:
        data: root of the raw data.
        photos: the split's photos in it, as `find_photos` gives them.
        archives: the split's archives, as `find_archives` gives them.
        folder: the table's folder.

    Raises:
        StorageError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    if not photos:
        if not isinstance(folder, Path):
            return False
        unpacked = folder / UNPACKED
        there = {path.name for path in unpacked.iterdir()} if unpacked.is_dir() else set()
        if archives and {_home(archive) for archive in archives} != there:
            return False
        photos = find_photos(unpacked, ".")
    return manifest.holds(folder, _recipe(data), [fingerprint([_row(photo, data) for photo in photos])])


def read_inventory(table: Table, data: Path) -> list[PhotoFile]:
    """The photo files of a committed inventory.

    Raises:
        DataError: it was taken of another root than `data`.
    """
    if table.manifest.recipe.get("data") != str(data):
        raise DataError(
            f"raw_images of {table.manifest.split!r} was made of {table.manifest.recipe.get('data')}, and "
            f"SNAKE_DATA is {data} now: materialize raw_images for this split again."
        )
    rows = table.read().to_pylist()
    places = {"data": data}
    if any(row["place"] == UNPACKED for row in rows):
        places[UNPACKED] = _unpacked_of(table.folder, ())
    return [PhotoFile(row["path"], places[row["place"]], row["bytes"], row["modified_ns"]) for row in rows]


def _unpacked_of(folder: AnyPath, archives: Sequence[Path]) -> Path:
    """Where archives are unpacked to, beside the table; in a bucket nowhere."""
    if isinstance(folder, Path):
        return folder / UNPACKED
    raise DataError(
        f"{folder} is in a bucket, where no archive can be unpacked"
        f"{''.join(f', such as {archive}' for archive in archives[:1])}: unpack it into SNAKE_DATA yourself, "
        "and materialize raw_images again."
    )


def _was_made_of(data: Path, folder: AnyPath) -> bool:
    committed = read_manifest(folder)
    return committed is not None and committed.recipe.get("data") == str(data)


def _recipe(data: Path) -> dict[str, Json]:
    return {"version": INVENTORY_VERSION, "data": str(data)}


def _home(archive: Path) -> str:
    """The folder that an archive is unpacked to, named after its content as far as a listing tells it."""
    status = archive.stat()
    return fingerprint([archive.name, status.st_size, status.st_mtime_ns])[:16]


def _row(photo: PhotoFile, data: Path) -> dict[str, Json]:
    place = "data" if photo.root == data else UNPACKED
    return {"path": photo.path, "place": place, "bytes": photo.bytes, "modified_ns": photo.modified_ns}


def _unpack_all(archives: Sequence[Path], target: Path) -> dict[str, Unpacked]:
    """Unpack each archive into a folder named after its content; one that is there already is kept."""
    unpacked: dict[str, Unpacked] = {}
    for archive in archives:
        home = target / _home(archive)
        if not home.is_dir():
            aside = target / f".{home.name}.tmp"
            shutil.rmtree(aside, ignore_errors=True)
            try:
                aside.mkdir(parents=True)
                unpacked[archive.name] = unpack(archive, aside)
                # All at once: a sync for each of 150,000 photos would take longer than unpacking them.
                os.sync()
                aside.rename(home)
            except OSError as error:
                raise StorageError(
                    f"{archive} could not be unpacked to {target} ({error.strerror or error}): free space or "
                    "mend the rights there, then run again."
                ) from error
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return unpacked


def _remove_others(target: Path, homes: Sequence[str]) -> None:
    """Remove what was unpacked of other archives, once no committed inventory names it."""
    for stale in target.iterdir():
        if stale.name not in homes:
            shutil.rmtree(stale)
