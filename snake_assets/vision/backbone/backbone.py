"""A frozen vision transformer, from the Hugging Face hub or a folder, and the tokens it sees in photos."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snake_assets.vision.backbone.devices import resolve_device, resolve_precision
from snake_assets.vision.backbone.encoder import (
    final_norm,
    fix_positions,
    forward_options,
    load_encoder,
    read_encoder,
)
from snake_assets.vision.backbone.model_files import BACKBONE
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.processor_config import read_preprocessing
from snake_assets.vision.preprocessing.transforms import Preprocessing, View

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Seen:
    """What a forward pass shows of B photos, float32 on the backbone's device.

    Attributes:
        tokens: [B, 1 + P, D]: row 0 is CLS, rows 1 to P are the patches in reading order, all after the final
            norm; registers are left out.
        earlier_cls: [B, D], the CLS token of `Backbone.earlier_layer` after the final norm.
        middle_mean: [B, D], the mean patch token of `Backbone.middle_layer` as it is.
    """

    tokens: torch.Tensor
    earlier_cls: torch.Tensor
    middle_mean: torch.Tensor


@dataclass(frozen=True)
class Backbone:
    """A backbone, known by its files; the model itself is loaded when tokens are first asked for.

    Attributes:
        name: the hub id, or the folder's own name: paths differ between machines and are no identity.
        revision: the commit on the hub that the files come from; None for a folder.
        device: where the model runs ("cpu", "cuda", "cuda:1", "mps").
        precision: what it computes in ("fp32", "bf16", "fp16"); the tokens are float32 always.
        preprocessing: how it wants its photos.
        digest: `ModelKind.digest` of its folder.
        hidden_size: D, the width of a token.
        prefix_tokens: how many tokens the model puts before the patches: CLS and any registers.
        patch_grid: (rows, columns) of patches; their product is P.
        layers: how many layers the model has.
        folder: where its files are.
        view: how it looks at photos.
    """

    name: str
    revision: str | None
    device: str
    precision: str
    preprocessing: Preprocessing
    digest: str
    hidden_size: int
    prefix_tokens: int
    patch_grid: tuple[int, int]
    layers: int
    folder: Path = field(repr=False)
    view: View = field(default_factory=View)

    @cached_property
    def model(self) -> torch.nn.Module:
        """The model in eval mode, checked on one blank photo to give the tokens that the config promises.

        Only safetensors weights are read and no code from the model's repository is run.

        Raises:
            BackboneError: it cannot be loaded, lacks weights of its encoder, or is no model that returns a
                CLS token and one token per patch.
        """
        import torch

        model = load_encoder(self.name, self.folder).to(self.device, self._dtype)
        if self.device.startswith("cuda"):
            model = model.to(memory_format=torch.channels_last)  # as `Preprocessing.pixel_values` there
        _check_tokens(self, model)
        fix_positions(model, *self.preprocessing.input_size)
        return model

    def __getstate__(self) -> dict[str, Any]:
        """To other processes it goes without its model, which each loads itself."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def refuse_other_files(self) -> None:
        """Raise BackboneError where the folder holds another model than the one that was opened."""
        if BACKBONE.digest(self.folder) != self.digest:
            raise BackboneError(
                f"{self.folder} holds another model on this machine than where the pass was started: put the "
                "same files there."
            )

    def see(self, pixel_values: torch.Tensor) -> Seen:
        """One forward pass over photos: float32 [B, 3, h, w], moved to the backbone's device.

        Args:
            pixel_values: as `preprocessing.pixel_values` makes them.

        Raises:
            BackboneError: as `model`.
        """
        import torch

        # Not inference mode: under it, a compiled model's weights would not be constants.
        with torch.no_grad():
            photos = pixel_values.to(self.device, self._dtype)
            options = forward_options(self.model, other_resolution=self.view.resolution is not None)
            seen = self.model(pixel_values=photos, output_hidden_states=True, **options)
            hidden = seen.last_hidden_state
            tokens = torch.cat([hidden[:, :1], hidden[:, self.prefix_tokens :]], dim=1).float()
            earlier = final_norm(self.model)(seen.hidden_states[self.earlier_layer][:, 0]).float()
            middle = seen.hidden_states[self.middle_layer][:, self.prefix_tokens :].float().mean(dim=1)
            return Seen(tokens, earlier, middle)

    def compile(self, photos: int) -> None:
        """Compile the model for batches of so many photos, which takes up to a minute.

        Raises:
            BackboneError: as `model`.
        """
        import torch
        from torch._inductor import config as inductor

        if photos in self._compiled_for:
            return
        self._compiled_for.add(photos)
        self.model.compile(dynamic=False)
        height, width = self.preprocessing.input_size
        # Weights become constants that are laid out once for the processor's matrix units.
        with inductor.patch(freezing=self.device == "cpu"):
            self.see(torch.zeros(photos, 3, height, width))

    @cached_property
    def _compiled_for(self) -> set[int]:
        return set()

    @property
    def earlier_layer(self) -> int:
        """The layer, counted from 1, whose CLS token goes along: two before the last."""
        return max(1, self.layers - 2)

    @property
    def middle_layer(self) -> int:
        """The layer, counted from 1, whose patch tokens go along: half way."""
        return max(1, self.layers // 2)

    @property
    def _dtype(self) -> torch.dtype:
        import torch

        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    def fingerprint_parts(self) -> dict[str, Any]:
        """What the tokens depend on, in JSON types; the versions of libraries are left to the caller."""
        return {
            "backbone": self.name,
            "revision": self.revision,
            "weights": self.digest,
            "preprocessing": self.preprocessing.as_dict(),
            "resolution": list(self.preprocessing.input_size),
            "precision": self.precision,
        }


def _check_tokens(backbone: Backbone, model: torch.nn.Module) -> None:
    """Refuse a model that does not return CLS, its registers and one token per patch."""
    import torch

    height, width = backbone.preprocessing.input_size
    rows, columns = backbone.patch_grid
    promised = (1, backbone.prefix_tokens + rows * columns, backbone.hidden_size)
    try:
        with torch.inference_mode():
            weight = next(model.parameters())
            blank = torch.zeros(1, 3, height, width, device=weight.device, dtype=weight.dtype)
            options = forward_options(model, other_resolution=backbone.view.resolution is not None)
            seen = tuple(model(pixel_values=blank, **options).last_hidden_state.shape)
    except Exception as error:  # whatever a model that takes no photos of this size raises
        raise BackboneError(
            f"SNAKE_BACKBONE {backbone.name!r} ({type(model).__name__}) does not turn photos "
            f"of {height} x {width} into tokens ({error}). Where it takes photos of one size only, set "
            "scale to 1 in the config of `embeddings`."
        ) from error
    if seen != promised:
        raise BackboneError(
            f"SNAKE_BACKBONE {backbone.name!r} ({type(model).__name__}) returns tokens of shape {seen}, not "
            f"{promised}: {backbone.prefix_tokens} prefix and {rows} x {columns} patch tokens are expected. "
            "Choose a vision transformer with a CLS token, such as DINOv2, DINOv3 or ViT."
        )


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
