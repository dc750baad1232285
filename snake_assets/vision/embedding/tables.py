"""The tables that the embedding pass writes: recipes, columns, and the refusal of old ones."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.table import Table
from snake_assets.vision.backbone.tokens import DCT_KEPT, NO_GRID
from snake_assets.vision.inference.dataset import SEEN
from snake_assets.vision.preprocessing.crops import CropSettings
from snake_assets.vision.preprocessing.regions import DIGEST, REGION

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone
    from snake_assets.vision.backbone.features import PhotoFeatures

DINOV2, DCT, CROP_EMBEDDINGS = "dinov2_embeddings", "dct_embeddings", "crop_embeddings"
# Counts as an input: raise it when the same photos, crops and backbone would give other rows or columns.
EMBEDDING_VERSION = 4
KEYS = ["image_id", "observation_id", "class_id", DIGEST]
# By table: column -> which of the `PhotoFeatures`.
TOKENS = {"embedding": "cls", **{name: name for name in ("patch_mean", "earlier_cls", "middle_mean")}}
VECTORS = {DINOV2: TOKENS, DCT: {"embedding": "dct"}, CROP_EMBEDDINGS: {**TOKENS, "dct": "dct"}}


def recipes(backbone: "Backbone", batch_size: int) -> dict[str, dict[str, Json]]:
    """By table of whole photos, all that decides its rows besides the photos; no DCT without a grid."""
    common: dict[str, Json] = {
        "version": EMBEDDING_VERSION,
        "view": "whole photo",
        "batch_size": batch_size,
        **backbone.fingerprint_parts(),
    }
    if backbone.beside:
        common["beside"] = [{**part.fingerprint_parts(), **_vectors_of(part)} for part in backbone.beside]
    vectors = _vectors_of(backbone)
    if not any(part.layout.has_dct for part in backbone.parts):
        return {DINOV2: {**common, **vectors, "dct": {"left out": NO_GRID}}}
    return {DINOV2: {**common, **vectors}, DCT: {**common, "dct": {"kept": DCT_KEPT, "norm": "none"}}}


def _vectors_of(backbone: "Backbone") -> dict[str, Json]:
    layout = backbone.layout
    sources = layout.sources()
    layers: dict[str, Json] = {"earlier": layout.earlier, "middle": layout.middle}
    return {"layers": layers, **({"columns": dict(sources)} if sources else {})}


def of_each_backbone(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a recipe says of the backbones beside each other; with the first one stands all else."""
    return [recipe, *recipe.get("beside", [])]


def has_dct(table: Table) -> bool:
    """Whether a table of `dinov2_embeddings` goes with one of `dct_embeddings`; see `NO_GRID`."""
    return "dct" not in table.manifest.recipe


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
    return {**whole[DINOV2], **whole.get(DCT, {}), "view": "crop", "crop": crop}


def schema(name: str, backbone: "Backbone", recipe: Mapping[str, Json]) -> pa.Schema:
    """Columns of a table; its metadata is the recipe, so that the table explains itself."""
    keys = [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        (DIGEST, pa.string()),
        *([(REGION, pa.string())] if name == CROP_EMBEDDINGS else []),
        *([(SEEN, pa.bool_())] if backbone.seen else []),
    ]
    return pa.schema(
        [*keys, *vectors(name, backbone, []).schema],
        metadata={key: json.dumps(value) for key, value in recipe.items()},
    )


def vectors(name: str, backbone: "Backbone", parts: Sequence["PhotoFeatures"]) -> pa.Table:
    """All columns of a table but the keys, a row for each photo of some batches."""
    layouts = [part.layout for part in backbone.parts]
    widths = {name: sum(one.widths[name] for one in layouts) for name in backbone.layout.widths}
    widths["dct"] = DCT_KEPT * DCT_KEPT * sum(one.has_dct for one in layouts)
    widths["cls"] = widths["embedding"]

    def array(feature: str) -> pa.Array:
        flat = np.concatenate([np.empty(0, np.float32), *(getattr(part, feature).ravel() for part in parts)])
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), widths[feature])

    wanted = {
        column: feature for column, feature in VECTORS[name].items() if feature != "dct" or widths["dct"]
    }
    return pa.table({column: array(feature) for column, feature in wanted.items()})


def refuse_other_versions(table: Table) -> None:
    """Raise StorageError for an embedding table that another version of the code wrote."""
    manifest = table.manifest
    if (found := manifest.recipe.get("version")) != EMBEDDING_VERSION:
        raise StorageError(
            f"{table.folder} was written by another version of snake-assets (embedding version {found}, this "
            f"one reads {EMBEDDING_VERSION}): materialize {manifest.table} for {manifest.split} again."
        )
