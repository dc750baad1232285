"""The inventory of a split: every photo file with its size and time, after unpacking where needed."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from snake_assets.snakeclef.archives import SUFFIXES, Unpacked, find_archives, unpack
from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.photo_files import PhotoFile, find_photos
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.manifest import Manifest
from snake_assets.storage.tables import Table
from snake_assets.storage.writer import write_table

INVENTORY_SCHEMA = pa.schema(
    [("path", pa.string()), ("place", pa.string()), ("bytes", pa.int64()), ("modified_ns", pa.int64())]
)
UNPACKED = "unpacked"


@dataclass(frozen=True)
class Inventory:
    """What `take_inventory` found: the committed table, and what was unpacked on the way."""

    manifest: Manifest
    photo_bytes: int
    unpacked: Mapping[str, Unpacked]


def take_inventory(data: Path, split: str, folder: Path) -> Inventory:
    """Find a split's photos, unpack its archives if it has no photos, and commit the table `raw_images`.

    Args:
        data: root of the raw data.
        split: train, val or test.
        folder: the table's folder; archives are unpacked to a folder in it.

    Raises:
        DataError: the root is not there, the split has neither photos nor archives, or an archive is refused.
        StorageError: the store cannot be written.
    """
    if not data.is_dir():
        raise DataError(
            f"SNAKE_DATA={data} is not a folder: set it to the root of the raw data, "
            "or unset it for the demo set."
        )
    photos = find_photos(data, split)
    unpacked: dict[str, Unpacked] = {}
    with write_table(folder, "raw_images", split, INVENTORY_SCHEMA, {}) as writer:
        if not photos:
            unpacked = _unpack_all(data, split, folder / UNPACKED)
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
    return Inventory(manifest, sum(photo.bytes for photo in photos), unpacked)


def read_inventory(table: Table, data: Path) -> list[PhotoFile]:
    """The photo files of a committed inventory; `data` is the root that it was taken of."""
    places = {"data": data, UNPACKED: table.folder / UNPACKED}
    return [
        PhotoFile(row["path"], places[row["place"]], row["bytes"], row["modified_ns"])
        for row in table.read().to_pylist()
    ]


def _row(photo: PhotoFile, data: Path) -> dict[str, Json]:
    place = "data" if photo.root == data else UNPACKED
    return {"path": photo.path, "place": place, "bytes": photo.bytes, "modified_ns": photo.modified_ns}


def _unpack_all(data: Path, split: str, target: Path) -> dict[str, Unpacked]:
    """Unpack each archive into a folder named after its content; one that is there already is kept."""
    unpacked: dict[str, Unpacked] = {}
    wanted: set[str] = set()
    for archive in find_archives(data, split):
        status = archive.stat()
        home = target / fingerprint([archive.name, status.st_size, status.st_mtime_ns])[:16]
        wanted.add(home.name)
        if not home.is_dir():
            aside = target / f".{home.name}.tmp"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            try:
                unpacked[archive.name] = unpack(archive, aside)
                aside.rename(home)
            except OSError as error:
                raise StorageError(
                    f"{archive} could not be unpacked to {target} ({error.strerror or error}): free space or "
                    "mend the rights there, then run again."
                ) from error
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    for stale in target.iterdir() if target.is_dir() else ():
        if stale.name not in wanted:
            shutil.rmtree(stale)
    return unpacked
