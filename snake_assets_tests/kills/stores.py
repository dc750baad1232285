"""What a store holds: every table and bundle read whole, and the shards that must not be made again."""

import json
from collections.abc import Iterator
from pathlib import Path

from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import file_digest, fingerprint
from snake_assets.storage.tables.manifest import Manifest, shards_from_json
from snake_assets.storage.tables.table import open_table

MANIFEST, PROGRESS = "_manifest.json", "_progress.jsonl"
# What these hold is dated; the others are the same, byte by byte, whenever they are made of the same.
DATED = {"validation_report"}
Stamp = tuple[str, int, int]


def versions(store: Path) -> dict[str, str]:
    """By folder, what its table or bundle holds, which is read in full; or what is wrong with it."""
    found = {}
    for name, folder in _committed(store):
        try:
            found[name] = _version(folder)
        except StorageError as error:
            found[name] = f"damaged: {error}"
    return found


def _version(folder: Path) -> str:
    if "shards" not in json.loads((folder / MANIFEST).read_bytes()):
        bundle = open_bundle(folder)
        return fingerprint([bundle.recipe, {} if folder.name in DATED else dict(bundle.files)])
    table = open_table(folder)
    rows, manifest = table.read(), table.manifest
    whole = [file_digest(folder / shard.file) == shard.sha256 for shard in manifest.shards]
    if not all(whole) or rows.num_rows != manifest.rows_out:
        return "damaged: the shards are not those of the manifest"
    if folder.parent.name == "raw_images":  # photos out of an archive have the time of their unpacking
        return fingerprint(rows.select(["path", "place", "bytes"]).to_pylist())
    return fingerprint([manifest.recipe, manifest.digest])


def units(store: Path) -> dict[str, set[str]]:
    """By folder, the units of its committed table."""
    return {name: {shard.unit for shard in manifest.shards} for name, manifest in _tables(store)}


def finished(store: Path) -> dict[tuple[str, str], Stamp]:
    """By folder and unit: file, inode and time of every shard that is committed, or told of as finished."""
    shards = [(name, shard) for name, manifest in _tables(store) for shard in manifest.shards]
    for path in store.glob(f"*/*/{PROGRESS}"):
        lines = path.read_bytes().split(b"\n")[1:-1]
        name = path.parent.relative_to(store).as_posix()
        shards += [(name, shard) for shard in shards_from_json([json.loads(line) for line in lines])]
    states = {(name, shard.unit): (shard.file, (store / name / shard.file).stat()) for name, shard in shards}
    return {key: (file, state.st_ino, state.st_mtime_ns) for key, (file, state) in states.items()}


def plain_files(store: Path) -> dict[str, str]:
    """By bundle and plain name, the digests of files as people find them; without those that are dated."""
    return {
        f"{bundle}/{name}": file_digest(folder / name)
        for bundle, folder in _committed(store)
        if folder.parent == store and bundle not in DATED
        for name in open_bundle(folder).files
    }


def strays(store: Path) -> list[str]:
    """Files and folders aside that a kill left and nobody cleared."""
    found = [*store.rglob(".*"), *store.rglob(PROGRESS)]
    return sorted(path.relative_to(store).as_posix() for path in found)


def _tables(store: Path) -> Iterator[tuple[str, Manifest]]:
    return (
        (name, open_table(folder).manifest) for name, folder in _committed(store) if folder.parent != store
    )


def _committed(store: Path) -> list[tuple[str, Path]]:
    folders = [path.parent for path in (*store.glob(f"*/{MANIFEST}"), *store.glob(f"*/*/{MANIFEST}"))]
    return [(folder.relative_to(store).as_posix(), folder) for folder in folders]
