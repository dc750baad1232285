"""How much main memory a batch takes in a backbone: an upper bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

# Of a layer that is computed, in token vectors of float32: 33 were measured for ViT-Tiny, 15 for DINOv2-base.
LAYER_VECTORS = 36


def pixel_bytes(backbone: Backbone, photos: int) -> int:
    """Of the pixels of a batch, as they wait."""
    height, width = backbone.preprocessing.input_size
    return photos * height * width * 3


def batch_bytes(backbone: Backbone, photos: int) -> int:
    """What the model takes for a batch in main memory, beside its weights.

    On a processor, that is what it keeps of all layers and needs for one; elsewhere only pixels are here.
    """
    if backbone.device != "cpu":
        return 2 * pixel_bytes(backbone, photos)
    rows, columns = backbone.patch_grid
    tokens = backbone.prefix_tokens + rows * columns
    return photos * tokens * backbone.hidden_size * 4 * (LAYER_VECTORS + backbone.layers + 1)
