"""The vectors: the embedding tables of whole photos out of one forward pass, and those of crops."""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.classifier import PREDICT, refuse_what_it_cannot_answer
from snake_assets.defs.assets.crops import OFF, PassConfig, yolo_crops
from snake_assets.defs.assets.photos import image_table
from snake_assets.defs.lib.metadata import pass_metadata, progress, split_version, table_metadata
from snake_assets.defs.lib.partitions import ON_DEVICE, present_splits, splits
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.settings import Engine
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.tokens import NO_GRID
from snake_assets.vision.embedding.embed import Choice, EmbeddingSettings, embed, embed_crops
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, DCT, DINOV2, EMBEDDING_VERSION, recipes
from snake_assets.vision.inference.ray import RayEngine
from snake_assets.vision.inference.runner import PassRun, Progress
from snake_assets.vision.preprocessing.crops import MAX_LEAST_SIDE, MAX_MARGIN, Background, CropSettings
from snake_assets.vision.preprocessing.regions import CROPS
from snake_assets.vision.preprocessing.transforms import MAX_SCALE, ResizePolicy, View

IF_IT_FAILS = (
    " If it fails for want of memory, set a smaller batch_size in the launchpad; shards that are written are "
    "kept, so materializing it again goes on where it was."
)
DESCRIPTIONS = {
    DINOV2: "CLS token (after the final norm) and mean patch token of every photo, and what earlier layers "
    "saw: the CLS token two layers before the last (after the final norm) and the mean patch token half way. "
    "A photo that fails to decode is named among the rejects. The parquet metadata names backbone, "
    "preprocessing, precision and view, and what takes a column's place where a backbone has no CLS token.",
    DCT: "The paper's 8x8 lowest coefficients of a 2-D DCT over the whole token matrix of every photo, row "
    "by row. Comes out of the same forward pass as the DINOv2 embeddings; the token matrix is never written. "
    "A backbone without a grid of tokens has none: nothing is made then, and the metadata says so.",
    CROP_EMBEDDINGS: "The vectors of the DINOv2 and DCT embeddings, of every photo cut to where the snake is "
    "before the backbone sees it. No crop is written: photos are cut while they are decoded. Without a find "
    "the whole photo is seen. Made only where SNAKE_CROPS names a finder; otherwise nothing is computed, and "
    "a table that is there is left alone.",
}


class ViewConfig(StepConfig):
    """How a backbone looks at photos."""

    resolution: int | None = Field(
        default=None,
        ge=1,
        le=518,
        description="Side of the model's input in pixels, a multiple of the patch size up to 518. Default: "
        "the backbone's own times `scale`.",
    )
    scale: float = Field(
        default=1.15,
        gt=0,
        le=MAX_SCALE,
        description="Multiplies the side of the backbone's own input (above 0 up to 4), rounded to whole "
        "patches: 256 pixels instead of 224 for patches of 16, 252 for patches of 14. 1.15 costs 1.3 times "
        "the pass at 1.0 and gives better scores.",
    )
    resize: ResizePolicy = Field(
        default="crop",
        description="crop (as the backbone's own preprocessing), squash (the whole photo, made square) or "
        "pad (the whole photo, with bands of the mean colour).",
    )

    def view(self) -> View:
        """How the backbone is to look at photos."""
        return View(self.resolution, self.scale, self.resize)


class EmbeddingConfig(ViewConfig, PassConfig):
    """How the embedding pass is run, and what it gives."""

    processes: Choice = Field(
        default="auto",
        description="always, never or auto: whether decoders are processes. auto: on CUDA, for many photos.",
    )
    compiled: Choice = Field(
        default="auto",
        description="always, never or auto: whether the model is compiled first, which takes up to a minute. "
        "auto: for splits of 10,000 photos, on CUDA of a million, or more.",
    )

    def settings(self, ray: RayEngine | None = None) -> EmbeddingSettings:
        """How the pass is run, here or on Ray."""
        names = {"batch_size", "decoders", "read_ahead", "processes", "compiled"}
        return EmbeddingSettings(**self.model_dump(include=names), ray=ray)


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
            deps=[image_table],
            group_name="features",
            kinds={"pytorch", "parquet"},
            code_version=str(EMBEDDING_VERSION),
            description=DESCRIPTIONS[name] + IF_IT_FAILS,
        )
        for name in (DINOV2, DCT)
    ],
    partitions_def=splits,
    can_subset=True,
    name="embeddings",
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def embeddings(
    context: dg.AssetExecutionContext,
    config: EmbeddingConfig,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
    engine: Engine,
) -> Iterator[dg.MaterializeResult[None]]:
    """Embed a split's photos; shards that are there already are kept."""
    settings, model = config.settings(engine.open()), backbone.open(store, config.view())
    if context.run.job_name == PREDICT:
        made_by = recipes(model, settings.photos_in_a_batch(model))
        refuse_what_it_cannot_answer(store, made_by, crops)

    def embed_split(images: Table, folders: Mapping[str, AnyPath], report: Progress) -> PassRun:
        return embed(images, folders, model, settings, report)

    yield from _embedded_splits(context, raw_data, store, model.precision, embed_split)


@dg.asset(
    name=CROP_EMBEDDINGS,
    deps=[yolo_crops],
    group_name="features",
    kinds={"pytorch", "parquet"},
    code_version=str(EMBEDDING_VERSION),
    description=DESCRIPTIONS[CROP_EMBEDDINGS] + IF_IT_FAILS,
    partitions_def=splits,
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def crop_embeddings(
    context: dg.AssetExecutionContext,
    config: CropEmbeddingConfig,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
    engine: Engine,
) -> dg.MaterializeResult[None]:
    """Embed the crops of a split's photos; shards that are there already are kept."""
    if crops.checked() is CropMode.none:
        for split in context.partition_keys:
            context.add_asset_metadata({"dagster/row_count": 0, "crops": OFF}, partition_key=split)
        return dg.MaterializeResult()
    settings, model = config.settings(engine.open()), backbone.open(store, config.view())

    def embed_split(images: Table, folders: Mapping[str, AnyPath], report: Progress) -> PassRun:
        found = open_table(store.folder(CROPS, str(images.manifest.split)))
        return embed_crops(images, found, folders[CROP_EMBEDDINGS], model, settings, config.cut(), report)

    (result,) = _embedded_splits(context, raw_data, store, model.precision, embed_split)
    return result


def _embedded_splits(
    context: dg.AssetExecutionContext,
    raw_data: RawData,
    store: Store,
    precision: str,
    embed_split: Callable[[Table, Mapping[str, AnyPath], Progress], PassRun],
) -> Iterator[dg.MaterializeResult[None]]:
    """Make the selected tables of every split of a run, and report what each pass did.

    Args:
        context: of the run.
        raw_data: says which splits there are.
        store: where tables are.
        precision: that the backbone computes in.
        embed_split: makes the tables of a split: called with its `image_table`, name -> folder of the tables
            that are wanted, and what is to be told of progress.
    """
    names = sorted(key.to_user_string() for key in context.selected_asset_keys)
    digests: dict[str, dict[str, str]] = {name: {} for name in names}
    for split in present_splits(context, raw_data, store):
        images = open_table(store.folder("image_table", split))
        folders = {name: store.folder(name, split) for name in names}
        with progress(context, f"embed {split}") as report:
            run = embed_split(images, folders, report)
        for name in names:
            if name not in run.manifests:
                left_out = {"dagster/row_count": 0, "left_out": NO_GRID}
                context.add_asset_metadata(left_out, asset_key=name, partition_key=split)
                continue
            digests[name][split] = run.manifests[name].digest
            context.add_asset_metadata(
                {
                    **table_metadata(open_table(folders[name])),
                    **pass_metadata(run),
                    "precision": precision,
                    "recipe": dg.MetadataValue.json(dict(run.manifests[name].recipe)),
                },
                asset_key=name,
                partition_key=split,
            )
    for name in names:
        yield dg.MaterializeResult(asset_key=name, data_version=split_version(context, digests[name]))
