"""The vectors: all embedding tables out of one forward pass."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.photos import image_table
from snake_assets.defs.lib.metadata import log_memory, pass_metadata, split_version, table_metadata
from snake_assets.defs.lib.partitions import ON_DEVICE, splits
from snake_assets.defs.lib.progress import progress
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.engine import Engine, Memory
from snake_assets.defs.resources.storage import Store
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.embedding.embed import (
    DCT,
    DINOV2,
    EMBEDDING_VERSION,
    LAYERS,
    EmbeddingSettings,
    embed,
)
from snake_assets.vision.embedding.settings import Choice
from snake_assets.vision.inference.interfaces import PassRun, Progress
from snake_assets.vision.preprocessing.transforms import MAX_SCALE, ResizePolicy, View

IF_IT_FAILS = (
    " If it fails for want of memory, set a smaller batch_size in the launchpad; shards that are written are "
    "kept, so materializing it again goes on where it was."
)
DESCRIPTIONS = {
    DINOV2: "CLS token (after the final norm) and mean patch token of every photo. A photo that fails to "
    "decode is named among the rejects. The parquet metadata names backbone, preprocessing, precision and "
    "view.",
    DCT: "The paper's 8x8 lowest coefficients of a 2-D DCT over the whole token matrix of every photo, row "
    "by row. Comes out of the same forward pass as the DINOv2 embeddings; the token matrix is never written.",
    LAYERS: "What earlier layers saw of every photo, in the same forward pass: the CLS token two layers "
    "before the last (after the final norm) and the mean patch token half way. The classifier tries them "
    "beside the others, and does without where this table is not there.",
}


class EmbeddingConfig(dg.Config):
    """How the embedding pass is run, and what it gives."""

    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Photos in one forward pass, 1 to 4,096. Default: 16, on CUDA 256; fewer where "
        "SNAKE_MEMORY is low.",
    )
    decoders: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Threads, on CUDA processes, that decode ahead of the model, 1 to 256. Default: 2, on "
        "CUDA one for each processor but one.",
    )
    read_ahead: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Batches of decoded photos for each decoder that may be in memory, 1 to 64.",
    )
    processes: Choice = Field(
        default="auto",
        description="always, never or auto: whether decoders are processes. auto: on CUDA, for many photos.",
    )
    compiled: Choice = Field(
        default="auto",
        description="always, never or auto: whether the model is compiled first, which takes up to a minute. "
        "auto: for splits of 10,000 photos, on CUDA of a million, or more.",
    )
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
    flip: bool = Field(default=False, description="Average each photo with its mirror image; twice the work.")
    last_layers: int = Field(
        default=1,
        ge=1,
        le=4,
        description="How many of the last layers give their CLS token, side by side, 1 to 4.",
    )
    orthonormal_dct: bool = Field(
        default=False,
        description="Scale the DCT so that it is orthonormal; off, it is the paper's (values near 20,000).",
    )

    def view(self) -> View:
        """How the backbone is to look at photos."""
        return View(self.resolution, self.scale, self.resize, self.flip, self.last_layers)

    def settings(self, ceiling: int | None) -> EmbeddingSettings:
        """How the pass is run, in so many bytes of memory."""
        return EmbeddingSettings(
            batch_size=self.batch_size,
            decoders=self.decoders,
            read_ahead=self.read_ahead,
            processes=self.processes,
            compiled=self.compiled,
            orthonormal_dct=self.orthonormal_dct,
            ceiling=ceiling,
        )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            deps=[image_table],
            group_name="features",
            kinds={"pytorch", "parquet"},
            code_version=str(EMBEDDING_VERSION),
            description=description + IF_IT_FAILS,
        )
        for name, description in DESCRIPTIONS.items()
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
    store: Store,
    backbone: BackboneSetting,
    engine: Engine,
    memory: Memory,
) -> Iterator[dg.MaterializeResult[None]]:
    """Embed a split's photos; shards that are there already are kept."""
    settings = replace(config.settings(memory.bytes()), ray=engine.open())
    model = backbone.open(config.view())

    def embed_split(images: Table, folders: Mapping[str, AnyPath], report: Progress) -> PassRun:
        return embed(images, folders, model, settings, report)

    yield from embedded_splits(context, store, model.precision, embed_split)


def embedded_splits(
    context: dg.AssetExecutionContext,
    store: Store,
    precision: str,
    embed_split: Callable[[Table, Mapping[str, AnyPath], Progress], PassRun],
) -> Iterator[dg.MaterializeResult[None]]:
    """Make the selected tables of every split of a run, and report what each pass did.

    Args:
        context: of the run.
        store: where tables are.
        precision: that the backbone computes in.
        embed_split: makes the tables of a split: called with its `image_table`, name -> folder of the tables
            that are wanted, and what is to be told of progress.
    """
    names = sorted(key.to_user_string() for key in context.selected_asset_keys)
    digests: dict[str, dict[str, str]] = {name: {} for name in names}
    for split in context.partition_keys:
        images = open_table(store.folder("image_table", split))
        folders = {name: store.folder(name, split) for name in names}
        with progress(context, f"embed {split}") as report:
            run = embed_split(images, folders, report)
        log_memory(context, run, run.manifests[names[0]].recipe)
        for name in names:
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
        yield dg.MaterializeResult(asset_key=name, data_version=split_version(digests[name]))
