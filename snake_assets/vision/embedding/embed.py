"""The embedding pass: from `image_table` to the embedding tables, one forward pass a photo.

Vectors that are copied after the photos changed may differ in their last bits from those of a run afresh,
whose batches were others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.replicas import Replicas, devices_like
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, KEYS, crop_recipe, recipes, schema
from snake_assets.vision.inference.dataset import PhotoDataset
from snake_assets.vision.inference.runner import PassRun, Progress, WantedTable, Work, make_tables
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.regions import Regions
from snake_assets.vision.preprocessing.transforms import BackboneInput

if TYPE_CHECKING:
    import torch

    from snake_assets.vision.backbone.backbone import Backbone
    from snake_assets.vision.backbone.features import PhotoFeatures
    from snake_assets.vision.inference.ray import RayEngine

Choice = Literal["auto", "always", "never"]

# On a processor, larger batches no longer fit its caches: DINOv2-base is a quarter slower by 32, ViT-Tiny a
# sixth by 8. On an H200, DINOv2-base sees 6,000 photos a second by 64, 7,100 by 256, 7,200 by 512.
BATCH_SIZE, BATCH_SIZE_ON_CUDA = 16, 256
# Two threads decode 700 photos of 510 x 385 pixels a second, a hundred times what DINOv2-base takes there.
DECODERS = 2
# Processes take seconds to start. Compiling DINOv2-base takes 10 s to a minute; it saved 6 % of a processor's
# time (three layers, a busy machine), which pays from some 10,000 photos up. A GPU sees 100,000 and more
# meanwhile.
PROCESSES_FROM = 2_000
COMPILED_FROM, COMPILED_FROM_ON_CUDA = 10_000, 1_000_000


@dataclass(frozen=True)
class EmbeddingSettings:
    """How the pass is run.

    `batch_size` is part of the tables' recipe (another batch shape rounds differently); the rest only decides
    speed and memory.

    Attributes:
        batch_size: photos in a forward pass; None: 16, on CUDA 256.
        decoders: threads or processes that decode ahead of the model; None: 2, on CUDA one for each
            processor but one.
        read_ahead: batches for each decoder that may be under way or wait: `decoders` x `read_ahead` x
            `batch_size` photos as pixels (0.15 MB each at 224 x 224) are in memory at most.
        processes: whether decoders are processes. "auto": on CUDA, from 2,000 photos up.
        compiled: whether the model is compiled. "auto": for a split of 10,000 photos or more, on CUDA of a
            million or more, and where there is a C++ compiler. The split counts, not what is left to do: a
            run that goes on gives the same bits as one that was never interrupted.
        devices: what holds a replica of the backbone, batches dealt in turn; None: every device of the
            backbone's kind, which is all GPUs of this machine for "cuda".
        ray: spreads the pass over a Ray cluster; `devices`, `processes` and `read_ahead` are then Ray's own
            affair. None: all is done here.
    """

    batch_size: int | None = None
    decoders: int | None = None
    read_ahead: int = 2
    processes: Choice = "auto"
    compiled: Choice = "auto"
    devices: tuple[str, ...] | None = None
    ray: RayEngine | None = None

    def photos_in_a_batch(self, backbone: Backbone) -> int:
        """`batch_size`, or the device's own."""
        return self.batch_size or (BATCH_SIZE_ON_CUDA if backbone.device == "cuda" else BATCH_SIZE)

    def for_work(self, backbone: Backbone, to_compute: int, in_all: int) -> EmbeddingSettings:
        """The same with everything decided that is left to the device and the amount of work.

        Args:
            backbone: the model.
            to_compute: photos that this pass will compute.
            in_all: photos of the split.
        """
        on_cuda = backbone.device == "cuda"
        many = in_all >= (COMPILED_FROM_ON_CUDA if on_cuda else COMPILED_FROM)
        return replace(
            self,
            batch_size=self.photos_in_a_batch(backbone),
            decoders=self.decoders or (max(1, (os.cpu_count() or 2) - 1) if on_cuda else DECODERS),
            processes=_decided(self.processes, on_cuda and to_compute >= PROCESSES_FROM),
            compiled=_decided(self.compiled, many and _can_compile()),
        )


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
        folders: of the tables that are wanted (`dinov2_embeddings`, `dct_embeddings`): name -> folder. The
            latter is left out where the backbone's tokens have no grid.
        backbone: gives CLS and patch tokens.
        settings: of the pass.
        progress: called after each batch with photos done and photos to compute in this run.

    Raises:
        StorageError: a table cannot be read or written.
        BackboneError: the model cannot be loaded.
        EmbeddingError: memory does not suffice, or a process that decodes was ended.
        EngineError: Ray is wanted and cannot go on.
    """
    made_by = recipes(backbone, settings.photos_in_a_batch(backbone))
    photos = PhotoDataset(images, KEYS, seen=backbone.seen)
    return _embed(photos, backbone.input, folders, made_by, backbone, settings, progress)


def embed_crops(
    images: Table,
    crops: Table,
    folder: AnyPath,
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
        folder: of the table `crop_embeddings`.
        backbone: as above.
        settings: as above.
        cut: how crops are cut.
        progress: as above.

    Raises:
        StorageError: a table cannot be read or written, or the crops are of other photos.
        MaskError: a mask among the crops is damaged.
        BackboneError: as above.
        EmbeddingError: as above.
        EngineError: as above.
    """
    photos = PhotoDataset(images, KEYS, Regions(crops), backbone.seen)
    seen_as = CropInput(backbone.preprocessing, cut, beside=backbone.input.beside)
    recipe = crop_recipe(backbone, settings.photos_in_a_batch(backbone), cut, crops.manifest.recipe)
    names = {CROP_EMBEDDINGS: folder}
    return _embed(photos, seen_as, names, {CROP_EMBEDDINGS: recipe}, backbone, settings, progress)


def _embed(
    photos: PhotoDataset,
    seen_as: BackboneInput,
    folders: Mapping[str, AnyPath],
    recipe_of: Mapping[str, Mapping[str, Json]],
    backbone: Backbone,
    settings: EmbeddingSettings,
    progress: Progress | None,
) -> PassRun:
    wanted = [
        WantedTable(name, folder, schema(name, backbone, recipe_of[name]), recipe_of[name])
        for name, folder in folders.items()
        if name in recipe_of
    ]
    batch_size = settings.photos_in_a_batch(backbone)

    def begin(to_compute: int) -> Work[torch.Tensor, PhotoFeatures]:
        decided = settings.for_work(backbone, to_compute, photos.images.manifest.rows_out)
        # Where all rows are copied, not even the model is loaded.
        compiled_for = batch_size if to_compute and decided.compiled == "always" else None
        decoders = decided.decoders or 1
        on_ray = settings.ray if to_compute else None
        away = partial(_replicas_on, backbone, partial(Replicas, compiled_for=compiled_for))
        return Work(
            Replicas(
                backbone,
                settings.devices or devices_like(backbone.device),
                compiled_for=None if on_ray else compiled_for,
                loaded=to_compute > 0 and on_ray is None,
            ),
            seen_as,
            decoders,
            settings.read_ahead,
            processes=decided.processes == "always",
            elsewhere=on_ray.running(away, backbone.device, decoders) if on_ray else None,
        )

    return make_tables(photos, wanted, batch_size, begin, progress)


def _replicas_on(backbone: Backbone, replicas: Callable[..., Replicas], device: str) -> Replicas:
    """Those of a device, in another process: its files there must be those that the recipe names."""
    backbone.refuse_other_files()
    return replicas(backbone.on(device), devices_like(device))


def _can_compile() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


def _decided(choice: Choice, by_itself: bool) -> Choice:
    if choice == "auto":
        return "always" if by_itself else "never"
    return choice
