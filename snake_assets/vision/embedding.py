"""The embedding pass: from `image_table` to both embedding tables, in one forward pass per photo.

A batch never crosses a shard, so a shard's numbers do not depend on which shards were there already: an
interrupted run ends in the same tables as an undisturbed one.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.manifest import Manifest, Reject
from snake_assets.storage.tables import Table
from snake_assets.storage.writer import write_table
from snake_assets.vision.features import PhotoFeatures, describe
from snake_assets.vision.reading import PhotoBatch, decode_ahead

if TYPE_CHECKING:
    from snake_assets.vision.backbone import Backbone

DINOV2, DCT = "dinov2_embeddings", "dct_embeddings"
# Counts as an input: raise it when the same photos and backbone would give other rows.
EMBEDDING_VERSION = 1
DCT_KEPT = 8


@dataclass(frozen=True)
class EmbeddingSettings:
    """How the pass is run, and what it gives.

    `batch_size` and `orthonormal_dct` are part of the tables' recipe (another batch shape rounds
    differently); `decoders` threads and `read_ahead` batches only decide speed and memory.
    """

    batch_size: int = 32
    decoders: int = 2
    read_ahead: int = 3
    orthonormal_dct: bool = False


@dataclass
class EmbeddingRun:
    """What a pass did: manifests by table, photos computed now, and where the time went (seconds)."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    photos: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        """Photos computed per second of this pass; 0 where nothing had to be computed."""
        return self.photos / self.seconds if self.photos else 0.0


def recipes(backbone: "Backbone", settings: EmbeddingSettings) -> dict[str, dict[str, Json]]:
    """By table, everything that decides its rows besides the photos."""
    common: dict[str, Json] = {
        "version": EMBEDDING_VERSION,
        "view": "whole photo",
        "batch_size": settings.batch_size,
        **backbone.fingerprint_parts(),
    }
    dct: dict[str, Json] = {"kept": DCT_KEPT, "norm": "ortho" if settings.orthonormal_dct else "none"}
    return {DINOV2: common, DCT: {**common, "dct": dct}}


def embed(
    images: Table,
    folders: Mapping[str, Path],
    backbone: "Backbone",
    settings: EmbeddingSettings,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingRun:
    """Compute the embedding tables of one split; shards that are there already are kept.

    Args:
        images: the split's `image_table`.
        folders: table name (`dinov2_embeddings`, `dct_embeddings` or both) -> its folder.
        backbone: gives CLS and patch tokens.
        settings: of the pass.
        progress: called after each batch with photos done and photos to do in this run.

    Raises:
        StorageError: a table cannot be read or written.
    """
    run, began = EmbeddingRun(), time.perf_counter()
    recipe_of = recipes(backbone, settings)
    schemas = {name: _schema(name, backbone.hidden_size, recipe_of[name]) for name in folders}
    unit_of = {shard: fingerprint(shard.sha256) for shard in images.manifest.shards}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                write_table(folder, name, images.manifest.split, schemas[name], recipe_of[name])
            )
            for name, folder in folders.items()
        }
        pending = [
            shard
            for shard, unit in unit_of.items()
            if not all(writer.has(unit) for writer in writers.values())
        ]
        to_do = sum(shard.rows for shard in pending)
        decoded = decode_ahead(
            images,
            pending,
            backbone.preprocessing,
            batch_size=settings.batch_size,
            threads=settings.decoders,
            read_ahead=settings.read_ahead,
        )
        for shard, batches in groupby(decoded, key=lambda batch: batch.shard):
            parts: dict[str, list[pa.RecordBatch]] = {name: [] for name in writers}
            rejects: list[Reject] = []
            for batch in batches:
                rejects += batch.rejects
                # Models refuse an empty batch, which is what a batch of rejects leaves.
                if len(batch.pixels):
                    features = _timed_features(backbone, batch, settings, run)
                    for name in writers:
                        parts[name].append(_records(name, batch, features, schemas[name]))
                run.photos += len(batch.pixels) + len(batch.rejects)
                if progress:
                    progress(run.photos, to_do)
            for name, writer in writers.items():
                if not writer.has(unit_of[shard]):
                    writer.write(unit_of[shard], parts[name], rejects)
        run.manifests = {name: writer.commit(list(unit_of.values())) for name, writer in writers.items()}
    run.seconds = time.perf_counter() - began
    return run


def _timed_features(
    backbone: "Backbone", batch: PhotoBatch, settings: EmbeddingSettings, run: EmbeddingRun
) -> PhotoFeatures:
    began = time.perf_counter()
    features = describe(backbone, batch.pixels, orthonormal=settings.orthonormal_dct)
    run.model_seconds += time.perf_counter() - began
    return features


def _schema(name: str, hidden_size: int, recipe: Mapping[str, Json]) -> pa.Schema:
    keys = [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        ("sha256", pa.string()),
    ]
    vectors = {
        DINOV2: [("embedding", hidden_size), ("patch_mean", hidden_size)],
        DCT: [("embedding", DCT_KEPT * DCT_KEPT)],
    }
    fields = [*keys, *((column, pa.list_(pa.float32(), size)) for column, size in vectors[name])]
    return pa.schema(fields, metadata={key: json.dumps(value) for key, value in recipe.items()})


def _records(name: str, batch: PhotoBatch, features: PhotoFeatures, schema: pa.Schema) -> pa.RecordBatch:
    columns = {DINOV2: [features.cls, features.patch_mean], DCT: [features.dct]}[name]
    vectors = [_fixed_size_list(values) for values in columns]
    return pa.RecordBatch.from_arrays([*batch.keys.columns, *vectors], schema=schema)


def _fixed_size_list(values: npt.NDArray[np.float32]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
