"""The vectors: both embedding tables out of one forward pass."""

from collections.abc import Iterator
from typing import cast

import dagster as dg
from pydantic import Field

from snake_assets.assets.photos import image_table
from snake_assets.assets.reporting import progress_lines, split_version, table_metadata
from snake_assets.partitions import splits
from snake_assets.resources import BackboneSetting, Crops, Engine, Store
from snake_assets.storage.tables import open_table
from snake_assets.vision.embedding import DCT, DINOV2, EMBEDDING_VERSION, EmbeddingSettings, embed
from snake_assets.vision.memory import peak_memory_bytes
from snake_assets.vision.views import ResizePolicy, View


class EmbeddingConfig(dg.Config):
    """How the embedding pass is run, and what it gives."""

    batch_size: int = Field(default=32, ge=1, le=4096, description="Photos in one forward pass.")
    decoders: int = Field(default=2, ge=1, le=256, description="Threads that decode ahead of the model.")
    read_ahead: int = Field(default=3, ge=1, le=64, description="Batches of decoded photos that may wait.")
    resolution: int | None = Field(
        default=None,
        description="Side of the model's input in pixels, a multiple of the patch size up to 518. Default: "
        "the backbone's own.",
    )
    resize: str = Field(
        default="crop",
        description="crop (as the backbone's own preprocessing), squash (the whole photo, made square) or "
        "pad (the whole photo, with bands of the mean colour).",
    )
    flip: bool = Field(default=False, description="Average each photo with its mirror image; twice the work.")
    last_layers: int = Field(
        default=1, ge=1, le=4, description="How many of the last layers give their CLS token, side by side."
    )
    orthonormal_dct: bool = Field(
        default=False,
        description="Scale the DCT so that it is orthonormal; off, it is the paper's (values near 20,000).",
    )

    def view(self) -> View:
        """How the backbone is to look at photos."""
        return View(self.resolution, cast(ResizePolicy, self.resize), self.flip, self.last_layers)

    def settings(self) -> EmbeddingSettings:
        """How the pass is run."""
        return EmbeddingSettings(self.batch_size, self.decoders, self.read_ahead, self.orthonormal_dct)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            DINOV2,
            deps=[image_table],
            group_name="features",
            kinds={"pytorch", "parquet"},
            code_version=str(EMBEDDING_VERSION),
            description="CLS token (after the final norm) and mean patch token of every photo. A photo that "
            "fails to decode is named among the rejects. The parquet metadata names backbone, preprocessing, "
            "precision and view.",
        ),
        dg.AssetSpec(
            DCT,
            deps=[image_table],
            group_name="features",
            kinds={"pytorch", "parquet"},
            code_version=str(EMBEDDING_VERSION),
            description="The paper's 8x8 lowest coefficients of a 2-D DCT over the whole token matrix of "
            "every photo, row by row. Comes out of the same forward pass as the DINOv2 embeddings; the token "
            "matrix is never written.",
        ),
    ],
    partitions_def=splits,
    can_subset=True,
    name="embeddings",
)
def embeddings(
    context: dg.AssetExecutionContext,
    config: EmbeddingConfig,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
    engine: Engine,
) -> Iterator[dg.MaterializeResult[None]]:
    """Embed a split's photos; shards that are there already are kept."""
    crops.checked()
    engine.checked()
    model = backbone.open(config.view())
    names = sorted(key.to_user_string() for key in context.selected_asset_keys)
    digests: dict[str, dict[str, str]] = {name: {} for name in names}
    for split in context.partition_keys:
        images = open_table(store.folder("image_table", split))
        folders = {name: store.folder(name, split) for name in names}
        settings = config.settings()
        run = embed(images, folders, model, settings, progress_lines(context, f"embed {split}"))
        for name in names:
            digests[name][split] = run.manifests[name].digest
            context.add_asset_metadata(
                {
                    **table_metadata(open_table(folders[name])),
                    "photos_computed": run.computed,
                    "rows_copied": run.copied,
                    "images_per_second": round(run.images_per_second, 1),
                    "share_of_time": {stage: f"{share:.0%}" for stage, share in run.shares.items()},
                    "peak_memory_mb": round(peak_memory_bytes() / 2**20),
                    "device": model.device,
                    "precision": model.precision,
                    "recipe": dg.MetadataValue.json(dict(run.manifests[name].recipe)),
                },
                asset_key=name,
                partition_key=split,
            )
    for name in names:
        yield dg.MaterializeResult(asset_key=name, data_version=split_version(digests[name]))
