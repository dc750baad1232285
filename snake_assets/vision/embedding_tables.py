"""The tables that the embedding pass writes: their recipes and their columns."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.embedding_settings import EmbeddingSettings
from snake_assets.vision.features import PhotoFeatures
from snake_assets.vision.keys import DIGEST

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
    return pa.schema(
        [*keys, *vectors(name, backbone, []).schema],
        metadata={key: json.dumps(value) for key, value in recipe.items()},
    )


def vectors(name: str, backbone: "Backbone", parts: Sequence[PhotoFeatures]) -> pa.Table:
    """All columns of a table but the keys, a row for each photo of some batches."""
    widths = {"cls": backbone.cls_size, "dct": DCT_KEPT * DCT_KEPT}

    def array(feature: str) -> pa.Array:
        flat = np.concatenate([np.empty(0, np.float32), *(getattr(part, feature).ravel() for part in parts)])
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), widths.get(feature, backbone.hidden_size))

    return pa.table({column: array(feature) for column, feature in VECTORS[name].items()})
