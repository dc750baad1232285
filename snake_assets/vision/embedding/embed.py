"""The embedding pass: from `image_table` to the embedding tables, one forward pass a photo (table_making.py).

Vectors that are copied after the photos changed may differ in their last bits from those of a run afresh,
whose batches were others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table
from snake_assets.vision.backbone.features import PhotoFeatures
from snake_assets.vision.batch_bytes import batch_bytes, pixel_bytes
from snake_assets.vision.embedding.replicas import Replicas, devices_like
from snake_assets.vision.embedding.settings import EmbeddingSettings
from snake_assets.vision.embedding.tables import (
    CROP_DCT,
    CROP_DINOV2,
    CROP_LAYERS,
    CROP_VERSION,
    DCT,
    DINOV2,
    EMBEDDING_VERSION,
    KEYS,
    LAYERS,
    crop_recipes,
    recipes,
    schema,
)
from snake_assets.vision.inference.dataset import CroppedPhotos, Subjects, WholePhotos
from snake_assets.vision.inference.interfaces import PassRun, Progress, WantedTable, Work
from snake_assets.vision.inference.memory import resident_bytes
from snake_assets.vision.inference.runner import make_tables
from snake_assets.vision.memory_plan import PassNeeds, PassPlan, plan_pass, table_needs
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.inputs import BackboneInput, Preparation
from snake_assets.vision.preprocessing.regions import Regions

if TYPE_CHECKING:
    import torch

    from snake_assets.vision.backbone.backbone import Backbone

__all__ = [
    "CROP_DCT",
    "CROP_DINOV2",
    "CROP_LAYERS",
    "CROP_VERSION",
    "DCT",
    "DINOV2",
    "EMBEDDING_VERSION",
    "LAYERS",
    "CropSettings",
    "EmbeddingSettings",
    "crop_recipes",
    "embed",
    "embed_crops",
    "recipes",
]


def embed(
    images: Table,
    folders: Mapping[str, AnyPath],
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
        MemoryCeilingError: the pass, or a photo, does not fit under the ceiling of the settings.
        EngineError: Ray is wanted and cannot go on.
    """
    photos = WholePhotos(images, KEYS)
    seen_as = BackboneInput(backbone.preprocessing)
    return _embed(photos, seen_as, folders, recipes(backbone, settings), backbone, settings, progress)


def embed_crops(
    images: Table,
    crops: Table,
    folders: Mapping[str, AnyPath],
    backbone: Backbone,
    settings: EmbeddingSettings,
    cut: CropSettings,
    progress: Progress | None = None,
) -> PassRun:
    """As `embed`, of the part of each photo where the snake is; no crop is ever written.

    A photo that is a reject of the crops is one here too. Where nothing was found, the whole photo is seen.

    Args:
        images: the split's `image_table`.
        crops: its `yolo_crops`.
        folders: of the tables that are wanted (`crop_dinov2_embeddings`, `crop_dct_embeddings`,
            `crop_layer_embeddings`): name -> folder.
        backbone: as above.
        settings: as above.
        cut: how crops are cut.
        progress: as above.

    Raises:
        StorageError: a table cannot be read or written, or the crops are of other photos.
        MaskError: a mask among the crops is damaged.
        BackboneError: as above.
        EmbeddingError: as above.
    """
    photos = CroppedPhotos(images, KEYS, Regions(crops))
    seen_as = CropInput(backbone.preprocessing, cut)
    made_by = crop_recipes(backbone, settings, cut, crops.manifest.recipe)
    return _embed(photos, seen_as, folders, made_by, backbone, settings, progress)


def _embed(
    subjects: Subjects,
    seen_as: Preparation[torch.Tensor],
    folders: Mapping[str, AnyPath],
    recipe_of: Mapping[str, Mapping[str, Json]],
    backbone: Backbone,
    settings: EmbeddingSettings,
    progress: Progress | None,
) -> PassRun:
    wanted = [
        WantedTable(name, folder, schema(name, backbone, recipe_of[name]), recipe_of[name])
        for name, folder in folders.items()
    ]

    def begin(to_compute: int) -> Work[torch.Tensor, PhotoFeatures]:
        decided = settings.for_work(backbone, to_compute, subjects.images.manifest.rows_out)
        # Where all rows are copied, not even the model is loaded.
        compiled = to_compute > 0 and decided.compiled == "always"
        on_ray = decided.ray if to_compute else None
        replicas = partial(
            Replicas,
            orthonormal=decided.orthonormal_dct,
            layers=LAYERS in folders or CROP_LAYERS in folders,
        )
        compiled_for = decided.batch_size if compiled else None
        decoders = decided.decoders or 1
        away = partial(_replicas_on, backbone, partial(replicas, compiled_for=compiled_for))
        model = replicas(
            backbone,
            decided.devices or devices_like(backbone.device),
            compiled_for=None if on_ray else compiled_for,
            loaded=to_compute > 0 and on_ray is None,
        )
        return Work(
            model,
            seen_as,
            decoders,
            decided.read_ahead,
            processes=decided.processes == "always",
            memory=planned(model, decoders * decided.read_ahead) if to_compute else None,
            elsewhere=on_ray.running(away, backbone.device, decoders) if on_ray else None,
        )

    def planned(model: Replicas, most_batches: int) -> PassPlan | None:
        if settings.ceiling is None:
            return None
        model.make_ready()  # what it takes must be there to be seen
        photos = settings.photos_in_a_batch(backbone)
        needs = PassNeeds(
            before=resident_bytes(),
            pixels=pixel_bytes(backbone, photos),
            model=batch_bytes(backbone, photos),
            table=table_needs(subjects.images, [table.schema for table in wanted]),
        )
        return plan_pass(settings.ceiling, needs, most_batches)

    return make_tables(subjects, wanted, settings.photos_in_a_batch(backbone), begin, progress)


def _replicas_on(backbone: Backbone, replicas: Callable[..., Replicas], device: str) -> Replicas:
    """Those of a device, in another process: its files there must be those that the recipe names."""
    backbone.refuse_other_files()
    return replicas(replace(backbone, device=device), devices_like(device))
