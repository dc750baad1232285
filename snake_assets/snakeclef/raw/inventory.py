"""The inventory of a split: every photo file with its size and time, after unpacking where needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.raw.archives import (
    SUFFIXES,
    Archive,
    Unpacked,
    find_archives,
    home_of,
    remove_others,
    unpack_all,
)
from snake_assets.snakeclef.raw.photo_files import PhotoFile, find_photos
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table

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


def take_inventory(
    data: Path, split: str, folder: AnyPath, known_as: str | None = None, unpacked_at: Path | None = None
) -> Inventory:
    """Find a split's photos, unpack its archives if it has no photos, and commit the table `raw_images`.

    Args:
        data: root of the raw data.
        split: train, val or test.
        folder: the table's folder; archives are unpacked to a folder in it if that is on a disk.
        known_as: the root's name, the same on every machine; `data` itself if None.
        unpacked_at: where archives are unpacked to if the table is in a bucket.

    Raises:
        DataError: the split has neither photos nor archives, or an archive is refused, as any is where the
            store is in a bucket and nothing is said of where to unpack it.
        StorageError: the store cannot be written.
    """
    named = known_as or str(data)
    photos = find_photos(data, split)
    archives = find_archives(data, split)
    unpacked: dict[str, Unpacked] = {}
    homes: list[str] = []
    with write_table(folder, "raw_images", split, INVENTORY_SCHEMA, _recipe(named)) as writer:
        if archives and not photos:
            homes = sorted(home_of(archive) for archive in archives)
            target = _place_to_unpack(folder, unpacked_at, archives)
            unpacked = unpack_all(archives, target)
            photos = [photo for home in homes for photo in find_photos(target, home)]
            archives = []
        elif not photos and isinstance(folder, Path) and _was_made_of(named, folder):
            # The archives may have been removed after they were unpacked.
            photos = find_photos(folder / UNPACKED, ".")
        if not photos:
            raise DataError(
                f"The split {split!r} is empty: no photo (.jpg, .jpeg, .png in any case) below "
                f"{named}/{split} and no archive ({', '.join(SUFFIXES)}) there or in {named}. "
                "Put the photos or archives there."
            )
        rows = [_row(photo, data) for photo in photos]
        unit = fingerprint(rows)
        if not writer.has(unit):
            writer.write(unit, pa.Table.from_pylist(rows, schema=INVENTORY_SCHEMA).to_batches())
        manifest = writer.commit([unit])
        if homes:
            remove_others(target, homes)
    return Inventory(
        manifest,
        sum(photo.bytes for photo in photos),
        unpacked,
        tuple(archive.path.name for archive in archives),
    )


def inventory_is_current(
    data: Path,
    photos: Sequence[PhotoFile],
    archives: Sequence[Archive],
    folder: AnyPath,
    known_as: str | None = None,
) -> bool:
    """Whether `take_inventory` would find what it has found before.

    Args:
        data: root of the raw data.
        photos: the split's photos in it, as `find_photos` gives them.
        archives: the split's archives, as `find_archives` gives them.
        folder: the table's folder.
        known_as: as `take_inventory` has it.

    Raises:
        StorageError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    recipe = _recipe(known_as or str(data))
    if not photos:
        if not isinstance(folder, Path):
            # They may be unpacked on another machine than this one.
            homes = {home_of(archive) for archive in archives}
            return manifest.recipe == recipe and bool(homes) and _homes(open_table(folder)) == homes
        unpacked = folder / UNPACKED
        there = {path.name for path in unpacked.iterdir()} if unpacked.is_dir() else set()
        if archives and {home_of(archive) for archive in archives} != there:
            return False
        photos = find_photos(unpacked, ".")
    return manifest.holds(folder, recipe, [fingerprint([_row(photo, data) for photo in photos])])


def read_inventory(
    table: Table, data: Path, known_as: str | None = None, unpacked_at: Path | None = None
) -> list[PhotoFile]:
    """The photo files of a committed inventory; all but the table as for `take_inventory`.

    Raises:
        DataError: it was taken of another root than `data`.
    """
    named = known_as or str(data)
    if table.manifest.recipe.get("data") != named:
        raise DataError(
            f"raw_images of {table.manifest.split!r} was made of {table.manifest.recipe.get('data')}, and "
            f"SNAKE_DATA is {named} now: materialize raw_images for this split again."
        )
    rows = table.read().to_pylist()
    places = {"data": data}
    if any(row["place"] == UNPACKED for row in rows):
        places[UNPACKED] = _place_to_unpack(table.folder, unpacked_at, ())
    return [PhotoFile(row["path"], places[row["place"]], row["bytes"], row["modified_ns"]) for row in rows]


def _place_to_unpack(folder: AnyPath, unpacked_at: Path | None, archives: Sequence[Archive]) -> Path:
    """Where archives are unpacked to: beside a table on a disk."""
    if isinstance(folder, Path):
        return folder / UNPACKED
    if unpacked_at:
        return unpacked_at
    raise DataError(
        f"{folder} is in a bucket, where no archive can be unpacked"
        f"{''.join(f', such as {archive.path}' for archive in archives[:1])}: unpack it into SNAKE_DATA "
        "yourself, and materialize raw_images again."
    )


def _homes(table: Table) -> set[str]:
    """The folders of the archives whose photos an inventory has; an empty name where it has others, too."""
    rows = table.read(["path", "place"]).to_pylist()
    return {row["path"].partition("/")[0] if row["place"] == UNPACKED else "" for row in rows}


def _was_made_of(named: str, folder: AnyPath) -> bool:
    committed = read_manifest(folder)
    return committed is not None and committed.recipe.get("data") == named


def _recipe(named: str) -> dict[str, Json]:
    return {"version": INVENTORY_VERSION, "data": named}


def _row(photo: PhotoFile, data: Path) -> dict[str, Json]:
    place = "data" if photo.root == data else UNPACKED
    return {"path": photo.path, "place": place, "bytes": photo.bytes, "modified_ns": photo.modified_ns}
