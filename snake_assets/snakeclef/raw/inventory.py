"""The inventory of a split: every photo file with its size and time, after unpacking where needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.official import OfficialLayout
from snake_assets.snakeclef.raw.archives import (
    Archive,
    Unpacked,
    home_of,
    remove_others,
    unpack_all,
)
from snake_assets.snakeclef.raw.photo_files import ARCHIVE_SUFFIXES, PhotoFile, find_photos, is_named_as_photo
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table

INVENTORY_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("place", pa.string()),
        ("bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("fault", pa.string()),
    ]
)
UNPACKED = "unpacked"
# Counts as an input: raise it when the same files would give another inventory.
INVENTORY_VERSION = 2


@dataclass(frozen=True)
class Inventory:
    """What `take_inventory` found.

    `unreadable` are the files with a fault; `unpacked` tells of the archives that were unpacked now;
    `left_packed` names archives that were not needed, because the split has photos beside them.
    """

    manifest: Manifest
    bytes: int
    unreadable: tuple[PhotoFile, ...]
    unpacked: Mapping[str, Unpacked]
    left_packed: tuple[str, ...]


def take_inventory(
    data: Path,
    split: str,
    folder: AnyPath,
    known_as: str | None = None,
    unpacked_at: Path | None = None,
    layout: Layout | None = None,
) -> Inventory:
    """Find a split's files, unpack its archives if none is named as a photo, and commit `raw_images`.

    Args:
        data: root of the raw data.
        split: train, val or test.
        folder: the table's folder; archives are unpacked to a folder in it if that is on a disk.
        known_as: the root's name, the same on every machine; `data` itself if None.
        unpacked_at: where archives are unpacked to if the table is in a bucket.
        layout: of the raw data; the official one if None.

    Raises:
        DataError: the split has neither files nor archives, or an archive is refused, as any is where the
            store is in a bucket and nothing is said of where to unpack it.
        StorageError: the store cannot be written.
    """
    named = known_as or str(data)
    layout = layout or OfficialLayout(data)
    photos, archives = layout.photos(split), layout.archives(split)
    unpacked: dict[str, Unpacked] = {}
    homes: list[str] = []
    with write_table(folder, "raw_images", split, INVENTORY_SCHEMA, _recipe(named)) as writer:
        has_photos = any(is_named_as_photo(photo.path) for photo in photos)
        if archives and not has_photos:
            homes = sorted(home_of(archive) for archive in archives)
            target = _place_to_unpack(folder, unpacked_at, archives)
            unpacked = unpack_all(archives, target)
            photos += [photo for home in homes for photo in find_photos(target, home)]
            archives = []
        elif not has_photos and isinstance(folder, Path) and _was_made_of(named, folder):
            # The archives may have been removed after they were unpacked.
            photos += find_photos(folder / UNPACKED, ".")
        if all(photo.is_hidden for photo in photos):
            raise DataError(
                f"The split {split!r} is empty: no file below {named}/{split} and no archive "
                f"({', '.join(ARCHIVE_SUFFIXES)}) there or in {named}. Put the photos or archives there, or "
                "mount the disk that they are on."
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
        tuple(photo for photo in photos if photo.fault),
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
    if not any(is_named_as_photo(photo.path) for photo in photos):
        homes = {home_of(archive) for archive in archives}
        if isinstance(folder, Path):
            unpacked = folder / UNPACKED
            there = {path.name for path in unpacked.iterdir()} if unpacked.is_dir() else set()
            if archives and homes != there:
                return False
            photos = [*photos, *find_photos(unpacked, ".")]
        elif homes:
            # They may be unpacked on another machine than this one.
            return manifest.recipe == recipe and _homes(open_table(folder)) - {""} == homes
    return manifest.holds(folder, recipe, [fingerprint([_row(photo, data) for photo in photos])])


def read_inventory(
    table: Table, data: Path, known_as: str | None = None, unpacked_at: Path | None = None
) -> list[PhotoFile]:
    """The photo files of a committed inventory; all but the table as for `take_inventory`.

    Raises:
        DataError: it was taken of another root than `data`, or by another version of the code.
    """
    named = known_as or str(data)
    if table.manifest.recipe.get("data") != named:
        raise DataError(
            f"raw_images of {table.manifest.split!r} was made of {table.manifest.recipe.get('data')}, and "
            f"SNAKE_DATA is {named} now: materialize raw_images for this split again."
        )
    if table.manifest.recipe.get("version") != INVENTORY_VERSION:
        raise DataError(
            f"raw_images of {table.manifest.split!r} was made by another version of the code, which left "
            "other files out: materialize raw_images for this split again."
        )
    rows = table.read().to_pylist()
    places = {"data": data}
    if any(row["place"] == UNPACKED for row in rows):
        places[UNPACKED] = _place_to_unpack(table.folder, unpacked_at, ())
    return [
        PhotoFile(row["path"], places[row["place"]], row["bytes"], row["modified_ns"], row["fault"])
        for row in rows
    ]


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
    told = {name: value for name, value in vars(photo).items() if name != "root"}
    return {**told, "place": place}
