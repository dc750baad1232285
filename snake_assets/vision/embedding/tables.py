"""The tables that the embedding pass writes: recipes, columns, and the refusal of old ones."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.table import Table
from snake_assets.vision.preprocessing.crops import CropSettings
from snake_assets.vision.preprocessing.regions import DIGEST, REGION

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone
    from snake_assets.vision.backbone.features import PhotoFeatures

DINOV2, DCT, CROP_EMBEDDINGS = "dinov2_embeddings", "dct_embeddings", "crop_embeddings"
# Counts as an input: raise it when the same photos, crops and backbone would give other rows or columns.
EMBEDDING_VERSION = 4
DCT_KEPT = 8
KEYS = ["image_id", "observation_id", "class_id", DIGEST]
# By table: column -> which of the `PhotoFeatures`.
TOKENS = {"embedding": "cls", **{name: name for name in ("patch_mean", "earlier_cls", "middle_mean")}}
VECTORS = {DINOV2: TOKENS, DCT: {"embedding": "dct"}, CROP_EMBEDDINGS: {**TOKENS, "dct": "dct"}}


def recipes(backbone: "Backbone", batch_size: int) -> dict[str, dict[str, Json]]:
    """By table of whole photos, everything that decides its rows besides the photos."""
    common: dict[str, Json] = {
        "version": EMBEDDING_VERSION,
        "view": "whole photo",
        "batch_size": batch_size,
        **backbone.fingerprint_parts(),
    }
    layers: dict[str, Json] = {"earlier": backbone.earlier_layer, "middle": backbone.middle_layer}
    dct: dict[str, Json] = {"kept": DCT_KEPT, "norm": "none"}
    return {DINOV2: {**common, "layers": layers}, DCT: {**common, "dct": dct}}


def crop_recipe(
    backbone: "Backbone", batch_size: int, cut: CropSettings, finder: Mapping[str, Json]
) -> dict[str, Json]:
    """Everything that decides the rows of crops besides the photos and the boxes in them.

    Args:
        backbone: sees the crops.
        batch_size: of the pass.
        cut: how crops are cut.
        finder: the recipe of the table of crops.
    """
    whole = recipes(backbone, batch_size)
    crop: dict[str, Json] = {**cut.as_dict(), "finder": dict(finder)}
    return {**whole[DINOV2], **whole[DCT], "view": "crop", "crop": crop}


def schema(name: str, backbone: "Backbone", recipe: Mapping[str, Json]) -> pa.Schema:
    """Columns of a table; its metadata is the recipe, so that the table explains itself."""
    keys = [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        (DIGEST, pa.string()),
        *([(REGION, pa.string())] if name == CROP_EMBEDDINGS else []),
    ]
    return pa.schema(
        [*keys, *vectors(name, backbone, []).schema],
        metadata={key: json.dumps(value) for key, value in recipe.items()},
    )


def vectors(name: str, backbone: "Backbone", parts: Sequence["PhotoFeatures"]) -> pa.Table:
    """All columns of a table but the keys, a row for each photo of some batches."""

    def array(feature: str) -> pa.Array:
        flat = np.concatenate([np.empty(0, np.float32), *(getattr(part, feature).ravel() for part in parts)])
        width = DCT_KEPT * DCT_KEPT if feature == "dct" else backbone.hidden_size
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), width)

    return pa.table({column: array(feature) for column, feature in VECTORS[name].items()})


def refuse_other_versions(table: Table) -> None:
    """Raise StorageError for an embedding table that another version of the code wrote."""
    manifest = table.manifest
    if (found := manifest.recipe.get("version")) != EMBEDDING_VERSION:
        raise StorageError(
            f"{table.folder} was written by another version of snake-assets (embedding version {found}, this "
            f"one reads {EMBEDDING_VERSION}): materialize {manifest.table} for {manifest.split} again."
        )
