"""Backbones from the Hugging Face hub or a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snake_assets.vision.devices import resolve_device, resolve_precision
from snake_assets.vision.encoders import read_encoder
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.model_files import BACKBONE
from snake_assets.vision.processor_configs import read_preprocessing
from snake_assets.vision.tokens import Backbone
from snake_assets.vision.views import View

__all__ = ["Backbone", "BackboneError", "load_backbone", "open_backbone"]


def open_backbone(
    name: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    view: View | None = None,
) -> Backbone:
    """Find a backbone and read its configs; the model is not loaded yet.

    Args:
        name: a model id on the Hugging Face hub, or a folder in its format (see `ModelKind.locate`).
        revision: branch, tag or commit on the hub.
        device: see `resolve_device`.
        precision: see `resolve_precision`.
        view: how it is to look at photos; None is its own way.

    Raises:
        BackboneError: the backbone cannot be found, is no vision transformer, or cannot have this view.
    """
    view = view or View()
    device = resolve_device(device)
    precision = resolve_precision(precision, device)
    folder = BACKBONE.locate(name, revision)
    from_hub = folder.parent.name == "snapshots" and not Path(name).expanduser().is_dir()
    encoder = read_encoder(name, folder)
    patch_height, patch_width = encoder.patch
    own = read_preprocessing(folder)
    view = replace(view, resolution=view.side(own.input_size, patch_height), scale=1.0)
    preprocessing = own.viewed(view.resolution, view.resize)
    height, width = preprocessing.input_size
    if height % patch_height or width % patch_width:
        raise BackboneError(
            f"{height} x {width} pixels cannot be cut into patches of {patch_height} x {patch_width}: choose "
            f"a resolution that is a multiple of {patch_height}."
        )
    if view.last_layers > encoder.layers:
        raise BackboneError(f"SNAKE_BACKBONE {name!r} has fewer layers than last_layers={view.last_layers}.")
    return Backbone(
        name=name if from_hub else folder.resolve().name,
        revision=folder.name if from_hub else None,
        device=device,
        precision=precision,
        preprocessing=preprocessing,
        digest=BACKBONE.digest(folder),
        hidden_size=encoder.hidden_size,
        prefix_tokens=encoder.prefix_tokens,
        patch_grid=(height // patch_height, width // patch_width),
        layers=encoder.layers,
        folder=folder,
        view=view,
    )


def load_backbone(
    name: str, *, revision: str | None = None, device: str = "auto", precision: str = "auto"
) -> Backbone:
    """`open_backbone`, with the model loaded at once.

    Raises:
        BackboneError: as `open_backbone` and `Backbone.model`.
    """
    backbone = open_backbone(name, revision=revision, device=device, precision=precision)
    _ = backbone.model
    return backbone
