"""The tables that the embedding pass writes: their recipes, their columns, and a shard of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.manifest import Reject, Shard
from snake_assets.storage.tables import Table
from snake_assets.storage.writer import TableWriter
from snake_assets.vision.embedding_settings import EmbeddingSettings
from snake_assets.vision.features import PhotoFeatures
from snake_assets.vision.keys import DIGEST
from snake_assets.vision.known import KnownVectors

if TYPE_CHECKING:
    from snake_assets.vision.backbone import Backbone

DINOV2, DCT, LAYERS = "dinov2_embeddings", "dct_embeddings", "layer_embeddings"
# Counts as an input: raise it when the same photos and backbone would give other rows.
EMBEDDING_VERSION = 2
DCT_KEPT = 8
KEYS = ["image_id", "observation_id", "class_id", DIGEST]
# By table: column -> which of the `PhotoFeatures`.
VECTORS = {
    DINOV2: {"embedding": "cls", "patch_mean": "patch_mean"},
    DCT: {"embedding": "dct"},
    LAYERS: {"earlier_cls": "earlier_cls", "middle_mean": "middle_mean"},
}


def recipes(backbone: "Backbone", settings: EmbeddingSettings) -> dict[str, dict[str, Json]]:
    """By table, everything that decides its rows besides the photos."""
    common: dict[str, Json] = {
        "version": EMBEDDING_VERSION,
        "view": "whole photo",
        "batch_size": settings.photos_in_a_batch(backbone.device),
        **backbone.fingerprint_parts(),
    }
    dct: dict[str, Json] = {"kept": DCT_KEPT, "norm": "ortho" if settings.orthonormal_dct else "none"}
    layers: dict[str, Json] = {"earlier": backbone.earlier_layer, "middle": backbone.middle_layer}
    return {DINOV2: common, DCT: {**common, "dct": dct}, LAYERS: {**common, "layers": layers}}


def schema(name: str, backbone: "Backbone", recipe: Mapping[str, Json]) -> pa.Schema:
    """Columns of a table; its metadata is the recipe, so that the table explains itself."""
    keys = [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        (DIGEST, pa.string()),
    ]
    widths = {"cls": backbone.cls_size, "dct": DCT_KEPT * DCT_KEPT}
    vectors = [
        (column, pa.list_(pa.float32(), widths.get(feature, backbone.hidden_size)))
        for column, feature in VECTORS[name].items()
    ]
    return pa.schema([*keys, *vectors], metadata={key: json.dumps(value) for key, value in recipe.items()})


@dataclass
class ShardFeatures:
    """What was computed of a shard: digests, their features in parts, and what could not be decoded."""

    digests: list[str]
    parts: list[PhotoFeatures]
    rejects: dict[str, Reject]


@dataclass(frozen=True)
class ShardWriter:
    """Writes the shards of all tables, in the rows' order; what was not computed is copied."""

    images: Table
    known: KnownVectors
    writers: Mapping[str, TableWriter]

    def write(self, shard: Shard, unit: str, computed: ShardFeatures) -> int:
        """Write a shard of each table that lacks it; returns how many of its rows were copied.

        Raises:
            StorageError: a table cannot be read or written.
        """
        self.known.refuse(computed.rejects)
        keys = self.images.read_shard(shard, KEYS)
        rejects = self.known.rejects_of(keys["image_id"].to_pylist(), keys[DIGEST].to_pylist())
        refused = {reject.image_id for reject in rejects}
        readable = [image_id not in refused for image_id in keys["image_id"].to_pylist()]
        kept = keys.filter(pa.array(readable, pa.bool_()))
        for name, writer in self.writers.items():
            if not writer.has(unit):
                rows = self._rows(name, kept, computed, writer.schema)
                self.known.add(name, writer.write(unit, rows.to_batches(), rejects), kept[DIGEST].to_pylist())
        return int(kept.num_rows) - len(computed.digests)

    def _rows(self, name: str, kept: pa.Table, computed: ShardFeatures, schema: pa.Schema) -> pa.Table:
        wanted = kept[DIGEST].to_pylist()
        old = sorted(set(wanted) - set(computed.digests))
        place = {digest: row for row, digest in enumerate([*computed.digests, *old])}
        vectors = _vectors(name, computed.parts, schema)
        if old:
            vectors = pa.concat_tables([vectors, self.known.rows(name, old, list(VECTORS[name]))])
        in_order = vectors.take(pa.array([place[digest] for digest in wanted], pa.int64()))
        return pa.Table.from_arrays([*kept.columns, *in_order.columns], schema=schema).combine_chunks()


def _vectors(name: str, parts: Sequence[PhotoFeatures], schema: pa.Schema) -> pa.Table:
    fields = [schema.field(column) for column in VECTORS[name]]
    values = [[getattr(part, feature).ravel() for part in parts] for feature in VECTORS[name].values()]
    arrays = [
        pa.FixedSizeListArray.from_arrays(
            pa.array(np.concatenate([np.empty(0, np.float32), *flat])), field.type.list_size
        )
        for field, flat in zip(fields, values, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
