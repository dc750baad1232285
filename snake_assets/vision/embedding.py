"""The embedding pass: from `image_table` to the embedding tables, in one forward pass per photo (passes.py).

Vectors that are copied after the photos changed may differ in their last bits from those of a run afresh,
whose batches were others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from snake_assets.storage.tables import Table
from snake_assets.vision.embedding_settings import EmbeddingSettings
from snake_assets.vision.embedding_tables import DCT, DINOV2, EMBEDDING_VERSION, KEYS, LAYERS, recipes, schema
from snake_assets.vision.features import PhotoFeatures
from snake_assets.vision.passes import PassRun, Progress, WantedTable, Work, make_tables
from snake_assets.vision.preparation import BackboneInput
from snake_assets.vision.replicas import Replicas, devices_like

if TYPE_CHECKING:
    import torch

    from snake_assets.vision.backbone import Backbone

__all__ = ["DCT", "DINOV2", "EMBEDDING_VERSION", "LAYERS", "EmbeddingSettings", "embed", "recipes"]


def embed(
    images: Table,
    folders: Mapping[str, Path],
    backbone: Backbone,
    settings: EmbeddingSettings,
    progress: Progress | None = None,
) -> PassRun:
    """Compute the embedding tables of one split; what is there already is kept.

    Args:
        images: the split's `image_table`.
        folders: of the tables that are wanted (`dinov2_embeddings`, `dct_embeddings`, `layer_embeddings`):
            name -> folder.
        backbone: gives CLS and patch tokens.
        settings: of the pass.
        progress: called after each batch with photos done and photos to compute in this run.

    Raises:
        StorageError: a table cannot be read or written.
        BackboneError: the model cannot be loaded.
        EmbeddingError: memory does not suffice, or a process that decodes was ended.
    """
    recipe_of = recipes(backbone, settings)
    wanted = [
        WantedTable(name, folder, schema(name, backbone, recipe_of[name]), recipe_of[name])
        for name, folder in folders.items()
    ]

    def begin(to_compute: int) -> Work[torch.Tensor, PhotoFeatures]:
        decided = settings.for_work(backbone.device, to_compute, images.manifest.rows_out)
        # Where all rows are copied, not even the model is loaded.
        compiled = to_compute > 0 and decided.compiled == "always"
        replicas = Replicas(
            backbone,
            decided.devices or devices_like(backbone.device),
            orthonormal=decided.orthonormal_dct,
            layers=LAYERS in folders,
            compiled_for=decided.batch_size if compiled else None,
        )
        return Work(
            replicas,
            BackboneInput(backbone.preprocessing),
            decided.decoders or 1,
            decided.read_ahead,
            processes=decided.processes == "always",
        )

    return make_tables(images, wanted, KEYS, settings.photos_in_a_batch(backbone.device), begin, progress)
