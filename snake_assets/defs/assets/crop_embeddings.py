"""The vectors of crops: what the backbone sees of the part of each photo where the snake is."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.crops import OFF, yolo_crops
from snake_assets.defs.assets.embeddings import IF_IT_FAILS, EmbeddingConfig, embedded_splits
from snake_assets.defs.assets.photos import image_table
from snake_assets.defs.lib.partitions import ON_DEVICE, splits
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.engine import Engine, Memory
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import Store
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.embedding.embed import (
    CROP_DCT,
    CROP_DINOV2,
    CROP_LAYERS,
    CROP_VERSION,
    EMBEDDING_VERSION,
    CropSettings,
    embed_crops,
)
from snake_assets.vision.inference.interfaces import PassRun, Progress
from snake_assets.vision.preprocessing.crops import MAX_LEAST_SIDE, MAX_MARGIN, Background
from snake_assets.vision.preprocessing.regions import CROPS

ONLY_WITH_CROPS = (
    " Made only where SNAKE_CROPS names a finder; otherwise nothing is computed, and tables that are there "
    "are left alone."
)
DESCRIPTIONS = {
    CROP_DINOV2: "CLS token (after the final norm) and mean patch token of every photo, cut to where the "
    "snake is before the backbone sees it. No crop is written: photos are cut while they are decoded. "
    "Without a find the whole photo is seen.",
    CROP_DCT: "The paper's 8x8 lowest coefficients of a 2-D DCT over the token matrix of every crop, row by "
    "row, out of the same forward pass.",
    CROP_LAYERS: "What earlier layers saw of every crop, in the same forward pass: the CLS token two layers "
    "before the last and the mean patch token half way. May be left out.",
}


class CropEmbeddingConfig(EmbeddingConfig):
    """How the pass over crops is run, what it gives, and how crops are cut.

    The fields of the embedding pass need not be those of `embeddings`, but whole photos and crops can be
    averaged only where their vectors are of one length.
    """

    margin: float = Field(
        default=CropSettings().margin,
        ge=0,
        le=MAX_MARGIN,
        description="Kept around the box on each side, as a share of its longer side, 0 to 4.",
    )
    background: Background = Field(
        default=CropSettings().background,
        description="Pixels outside a mask, where the finder gives one (sam): keep, grey or blur.",
    )
    least_side: int = Field(
        default=CropSettings().least_side,
        ge=1,
        le=MAX_LEAST_SIDE,
        description="Side of the smallest crop, in pixels of the full-size photo, 1 to 1,024.",
    )

    def cut(self) -> CropSettings:
        """How crops are cut."""
        return CropSettings(self.margin, self.background, self.least_side)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            deps=[image_table, yolo_crops],
            group_name="features",
            kinds={"pytorch", "parquet"},
            code_version=f"{EMBEDDING_VERSION}.{CROP_VERSION}",
            description=description + ONLY_WITH_CROPS + IF_IT_FAILS,
        )
        for name, description in DESCRIPTIONS.items()
    ],
    partitions_def=splits,
    can_subset=True,
    name="crop_embeddings",
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def crop_embeddings(
    context: dg.AssetExecutionContext,
    config: CropEmbeddingConfig,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
    engine: Engine,
    memory: Memory,
) -> Iterator[dg.MaterializeResult[None]]:
    """Embed the crops of a split's photos; shards that are there already are kept."""
    if crops.checked() is CropMode.none:
        for key in sorted(context.selected_asset_keys):
            for split in context.partition_keys:
                off = {"dagster/row_count": 0, "crops": OFF}
                context.add_asset_metadata(off, asset_key=key, partition_key=split)
            yield dg.MaterializeResult(asset_key=key)
        return
    settings = replace(config.settings(memory.bytes()), ray=engine.open())
    model = backbone.open(config.view())

    def embed_split(images: Table, folders: Mapping[str, AnyPath], report: Progress) -> PassRun:
        found = open_table(store.folder(CROPS, images.manifest.split))
        return embed_crops(images, found, folders, model, settings, config.cut(), report)

    yield from embedded_splits(context, store, model.precision, embed_split)
