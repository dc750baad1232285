"""What a store holds: every table and bundle read whole, and the shards that must not be made again."""

import json
from collections.abc import Iterator
from pathlib import Path

from snake_assets.storage import StorageError
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.fingerprints import file_digest, fingerprint
from snake_assets.storage.tables.manifest import shards_from_json
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
            found[name] = _bundle(folder) if folder.parent == store else _table(folder)
        except StorageError as error:
            found[name] = f"damaged: {error}"
    return found


def _bundle(folder: Path) -> str:
    bundle = open_bundle(folder)
    return fingerprint([bundle.recipe, {} if folder.name in DATED else dict(bundle.files)])


def _table(folder: Path) -> str:
    table = open_table(folder)
    rows, manifest = table.read(), table.manifest
    whole = [file_digest(folder / shard.file) == shard.sha256 for shard in manifest.shards]
    if not all(whole) or rows.num_rows != manifest.rows_out:
        return "damaged: the shards are not those of the manifest"
    if folder.parent.name == "raw_images":  # photos out of an archive have the time of their unpacking
        return fingerprint(rows.select(["path", "place", "bytes"]).to_pylist())
    return fingerprint([manifest.recipe, manifest.digest])


def finished(store: Path) -> dict[tuple[str, str], Stamp]:
    """By folder and unit: file, inode and time of every shard that is committed, or told of as finished."""
    shards = [
        (name, shard)
        for name, folder in _committed(store)
        if folder.parent != store
        for shard in open_table(folder).manifest.shards
    ]
    for path in store.glob(f"*/*/{PROGRESS}"):
        lines = path.read_bytes().split(b"\n")[1:-1]
        name = path.parent.relative_to(store).as_posix()
        shards += [(name, shard) for shard in shards_from_json([json.loads(line) for line in lines])]
    states = {(name, shard.unit): (shard.file, (store / name / shard.file).stat()) for name, shard in shards}
    return {key: (file, state.st_ino, state.st_mtime_ns) for key, (file, state) in states.items()}


def at_rest(store: Path) -> dict[str, str]:
    """What a run to the end leaves: all versions, bundles as people find them, and nothing that was aside."""
    plain = {
        f"{name}/{file}": file_digest(folder / file)
        for name, folder in _committed(store)
        if folder.parent == store and name not in DATED
        for file in open_bundle(folder).files
    }
    strays = [path.relative_to(store).as_posix() for path in (*store.rglob(".*"), *store.rglob(PROGRESS))]
    return versions(store) | plain | dict.fromkeys(strays, "left behind")


def _committed(store: Path) -> Iterator[tuple[str, Path]]:
    for path in (*store.glob(f"*/{MANIFEST}"), *store.glob(f"*/*/{MANIFEST}")):
        yield path.parent.relative_to(store).as_posix(), path.parent
