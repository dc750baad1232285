"""The tables that the embedding pass writes: their recipes and their columns."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.backbone.features import PhotoFeatures
from snake_assets.vision.embedding.settings import EmbeddingSettings
from snake_assets.vision.keys import DIGEST, REGION
from snake_assets.vision.preprocessing.crops import CropSettings

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

DINOV2, DCT, LAYERS = "dinov2_embeddings", "dct_embeddings", "layer_embeddings"
CROP_DINOV2, CROP_DCT, CROP_LAYERS = f"crop_{DINOV2}", f"crop_{DCT}", f"crop_{LAYERS}"
# Of whole photos -> of crops, with the same columns and how the crop was cut besides.
CROP_OF = {DINOV2: CROP_DINOV2, DCT: CROP_DCT, LAYERS: CROP_LAYERS}
# Count as inputs: raise one when the same photos, crops and backbone would give other rows.
EMBEDDING_VERSION = 3
CROP_VERSION = 1
DCT_KEPT = 8
KEYS = ["image_id", "observation_id", "class_id", DIGEST]
# By table: column -> which of the `PhotoFeatures`.
VECTORS = {
    DINOV2: {"embedding": "cls", "patch_mean": "patch_mean"},
    DCT: {"embedding": "dct"},
    LAYERS: {"earlier_cls": "earlier_cls", "middle_mean": "middle_mean"},
}
VECTORS |= {crop: VECTORS[whole] for whole, crop in CROP_OF.items()}


def recipes(backbone: "Backbone", settings: EmbeddingSettings) -> dict[str, dict[str, Json]]:
    """By table, everything that decides its rows besides the photos."""
    common: dict[str, Json] = {
        "version": EMBEDDING_VERSION,
        "view": "whole photo",
        "batch_size": settings.photos_in_a_batch(backbone),
        **backbone.fingerprint_parts(),
    }
    dct: dict[str, Json] = {"kept": DCT_KEPT, "norm": "ortho" if settings.orthonormal_dct else "none"}
    layers: dict[str, Json] = {"earlier": backbone.earlier_layer, "middle": backbone.middle_layer}
    return {DINOV2: common, DCT: {**common, "dct": dct}, LAYERS: {**common, "layers": layers}}


def crop_recipes(
    backbone: "Backbone", settings: EmbeddingSettings, cut: CropSettings, finder: Mapping[str, Json]
) -> dict[str, dict[str, Json]]:
    """By table, everything that decides the rows of crops besides the photos and the boxes in them.

    Args:
        backbone: sees the crops.
        settings: of the pass.
        cut: how crops are cut.
        finder: the recipe of the table of crops.
    """
    crop: dict[str, Json] = {"version": CROP_VERSION, **cut.as_dict(), "finder": dict(finder)}
    whole = recipes(backbone, settings)
    return {CROP_OF[name]: {**recipe, "view": "crop", "crop": crop} for name, recipe in whole.items()}


def schema(name: str, backbone: "Backbone", recipe: Mapping[str, Json]) -> pa.Schema:
    """Columns of a table; its metadata is the recipe, so that the table explains itself."""
    keys = [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        (DIGEST, pa.string()),
        *([(REGION, pa.string())] if name in CROP_OF.values() else []),
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
