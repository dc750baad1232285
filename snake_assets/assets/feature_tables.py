"""The tables of vectors, as those read them that learn from them or ask them."""

import dagster as dg

from snake_assets.resources import Store
from snake_assets.storage.manifest import read_manifest
from snake_assets.storage.tables import Table, open_table
from snake_assets.vision.embedding import DCT, DINOV2, LAYERS

FEATURE_TABLES = (DINOV2, DCT, LAYERS)


def on_split(asset: str, *splits: str) -> dg.AssetDep:
    """A dependency on only some splits of an asset, by an asset that has no splits itself."""
    return dg.AssetDep(asset, partition_mapping=dg.SpecificPartitionsPartitionMapping(list(splits)))


def on_features(*splits: str) -> list[dg.AssetDep]:
    """A dependency on the vectors of some splits."""
    return [on_split(name, *splits) for name in FEATURE_TABLES]


def feature_tables(store: Store, split: str) -> list[Table]:
    """The split's tables in the order of `FEATURE_TABLES`; that of earlier layers only where it was made.

    Raises:
        StorageError: one of the other two has not been materialized.
    """
    folders = {name: store.folder(name, split) for name in FEATURE_TABLES}
    return [open_table(folder) for name, folder in folders.items() if name != LAYERS or read_manifest(folder)]
