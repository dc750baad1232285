"""The tables of vectors, as those read them that learn from them or ask them."""

import dagster as dg

from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import Store
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.embedding.embed import CROP_DCT, CROP_DINOV2, CROP_LAYERS, DCT, DINOV2, LAYERS

FEATURE_TABLES = (DINOV2, DCT, LAYERS)
CROP_TABLES = (CROP_DINOV2, CROP_DCT, CROP_LAYERS)
MAY_BE_LEFT_OUT = (LAYERS, CROP_LAYERS)


def on_split(asset: str, *splits: str) -> dg.AssetDep:
    """A dependency on only some splits of an asset, by an asset that has no splits itself."""
    return dg.AssetDep(asset, partition_mapping=dg.SpecificPartitionsPartitionMapping(list(splits)))


def on_features(*splits: str) -> list[dg.AssetDep]:
    """A dependency on the vectors of some splits, of whole photos and of crops."""
    return [on_split(name, *splits) for name in (*FEATURE_TABLES, *CROP_TABLES)]


def feature_tables(store: Store, split: str, crops: Crops) -> list[Table]:
    """The split's tables in the order of `FEATURE_TABLES`, then those of crops unless crops are off.

    Tables of earlier layers are there only where they were made.

    Raises:
        StorageError: one of the others has not been materialized.
        SettingError: crops are set to what is no finder.
    """
    wanted = FEATURE_TABLES if crops.checked() is CropMode.none else (*FEATURE_TABLES, *CROP_TABLES)
    folders = {name: store.folder(name, split) for name in wanted}
    return [
        open_table(folder)
        for name, folder in folders.items()
        if name not in MAY_BE_LEFT_OUT or read_manifest(folder)
    ]
