"""The tables of vectors, as those read them that learn from them or ask them.

A dependency that another one implies is left out: vectors are made of `image_table`, `dct_embeddings` come
out of the pass that makes `dinov2_embeddings`, what is made of the classifier is made of train's vectors, and
what is made of the report is made of the classifier and val's.
"""

import dagster as dg

from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import Store
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, DCT, DINOV2, has_dct

FEATURE_TABLES = (DINOV2, DCT)
CROP_TABLES = (CROP_EMBEDDINGS,)


def on_split(asset: str, *splits: str) -> dg.AssetDep:
    """A dependency on only some splits of an asset, by an asset that has no splits itself."""
    return dg.AssetDep(asset, partition_mapping=dg.SpecificPartitionsPartitionMapping(list(splits)))


def on_features(*splits: str) -> list[dg.AssetDep]:
    """A dependency on the vectors of some splits, of whole photos and of crops."""
    return [on_split(name, *splits) for name in (DINOV2, CROP_EMBEDDINGS)]


def feature_tables(store: Store, split: str, crops: Crops) -> list[Table]:
    """The split's tables in the order of `FEATURE_TABLES`, then that of crops unless crops are off.

    Without that of the DCT where the backbone gives none.

    Raises:
        StorageError: one of them has not been materialized.
        SettingError: crops are set to what is no finder.
    """
    dinov2 = open_table(store.folder(DINOV2, split))
    further = [DCT] if has_dct(dinov2) else []
    further += [] if crops.checked() is CropMode.none else CROP_TABLES
    return [dinov2, *(open_table(store.folder(name, split)) for name in further)]
