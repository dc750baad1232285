"""The encoder in a model's folder, whole or without its weights, and where it can run."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from snake_assets.vision.backbone.model_files import (
    BACKBONE,
    NEEDS,
    OPEN_CLIP,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    ModelKind,
    format_of,
)
from snake_assets.vision.errors import BackboneError

if TYPE_CHECKING:
    import torch


# A model out of its folder: safetensors only, no code of its own, no network, and whole.


def loaded(
    auto: Any, name: str, folder: Path, kind: ModelKind, unused: Sequence[str] = (), **options: Any
) -> torch.nn.Module:
    """A model for inference.

    Args:
        auto: one of transformers' classes that load models.
        name: what the user calls it.
        folder: what `kind.locate` gave for it.
        kind: of the model.
        unused: parts of the names of weights that may be absent.
        options: for `auto`.

    Raises:
        ValueError: of the kind's class: transformers cannot load it, or weights are missing.
    """
    try:
        with quiet_transformers():
            model, report = auto.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except Exception as error:  # transformers raises nearly anything on a config that it cannot follow
        raise cannot_load(kind, name, folder, error) from error
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in unused))
    if missing:
        raise kind.error(
            f"{kind.variable} {name!r}: the weights in {folder} lack {len(missing)} of the model's, such as "
            f"{', '.join(missing[:3])}. They belong to another model, or the file is damaged; fetch it again."
        )
    return model.eval().requires_grad_(False)  # type: ignore[no-any-return]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence what libraries say of heads and weights that are not used, and restore it."""
    from transformers.utils import logging as hf_logging

    def unheard(record: logging.LogRecord) -> bool:
        return False

    switches: Any = hf_logging  # its functions are untyped
    verbosity, bars = switches.get_verbosity(), switches.is_progress_bar_enabled()
    switches.set_verbosity_error()
    switches.disable_progress_bar()
    logging.root.addFilter(unheard)  # open_clip has no logger of its own
    try:
        yield
    finally:
        logging.root.removeFilter(unheard)
        switches.set_verbosity(verbosity)
        if bars:
            switches.enable_progress_bar()


# What keeps an embedding of each patch's position, brought to other sizes by itself.
_INTERPOLATING_MODEL_TYPES = ("dinov2", "dinov2_with_registers", "vit")

# Weights that no forward pass without masking or pooling touches; many published files leave them out.
_UNUSED_WEIGHTS = ("mask_token", "pooler.")


def load_encoder(
    name: str, folder: Path, size: tuple[int, int] | None = None, *, weights: bool = True
) -> torch.nn.Module:
    """The encoder in a model's folder, for inference on the CPU; of one for photos and text, that of photos.

    Args:
        name: what the user calls it.
        folder: what `ModelKind.locate` gave for it.
        size: (height, width) of photos; None for the model's own.
        weights: whether they are read; else it is on PyTorch's meta device, where shapes alone are computed.

    Raises:
        BackboneError: it cannot be loaded, or weights of its encoder are missing.
    """
    config = read_config(name, folder)
    if config is None:
        return _open_clip_tower(name, folder, size, weights)
    from transformers import MODEL_MAPPING, AutoModel

    auto: Any = AutoModel  # its methods are untyped
    model_class: Any = MODEL_MAPPING.get(type(config), None)
    # A pooler that the file lacks would be filled with random weights, and it is not needed.
    takes = inspect.signature(model_class).parameters if inspect.isclass(model_class) else {}
    options = {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}
    if weights:
        model = loaded(auto, name, folder, BACKBONE, _UNUSED_WEIGHTS, config=config, **options)
    else:
        model = _without_weights(name, folder, lambda: auto.from_config(config, **options))
    timm_model: Any = getattr(model, "timm_model", None)
    if size and hasattr(timm_model, "set_input_size"):
        timm_model.set_input_size(img_size=size)
    return model


def _without_weights(name: str, folder: Path, build: Callable[[], Any]) -> torch.nn.Module:
    import torch

    try:
        with torch.device("meta"), quiet_transformers():
            return build().eval()  # type: ignore[no-any-return]
    except Exception as error:  # libraries raise nearly anything on a config that they cannot follow
        raise cannot_load(BACKBONE, name, folder, error) from error


_MOST_SAID = 500
_TINY_TEXT = {"width": 8, "heads": 1, "layers": 1, "context_length": 8, "vocab_size": 8}


def _open_clip_tower(name: str, folder: Path, size: tuple[int, int] | None, weights: bool) -> torch.nn.Module:
    import open_clip
    import torch
    from open_clip.model import resize_pos_embed
    from safetensors.torch import load_file

    class Tower(torch.nn.Module):
        """An open_clip encoder of photos that answers as those of transformers do."""

        def __init__(self, visual: Any) -> None:
            super().__init__()
            self.visual = visual

        def forward(self, pixel_values: torch.Tensor, output_hidden_states: bool = True) -> SimpleNamespace:
            has_prefix = hasattr(self.visual, "class_embedding")
            seen = self.visual.forward_intermediates(pixel_values, output_extra_tokens=has_prefix)
            states = seen["image_intermediates"]
            if has_prefix:
                pairs = zip(seen["image_intermediates_prefix"], states, strict=True)
                states = [torch.cat([prefix, one.flatten(2).transpose(1, 2)], dim=1) for prefix, one in pairs]
            return SimpleNamespace(
                last_hidden_state=states[-1], pooler_output=seen["image_features"], hidden_states=states
            )

    def build() -> Tower:
        config = json.loads((folder / OPEN_CLIP_CONFIG).read_text(encoding="utf-8"))
        by_timm = "timm_model_name" in config["model_cfg"]["vision_cfg"]
        with quiet_transformers():
            # The text encoder is not needed, might come from the hub, and cannot be left out: a tiny one.
            made = open_clip.create_model(
                f"local-dir:{folder}",
                load_weights=False,
                device="cpu" if weights else "meta",
                force_image_size=None if by_timm else size,
                text_cfg=_TINY_TEXT,
                pretrained_text=False,
            )
        if weights:
            state = load_file(folder / OPEN_CLIP_WEIGHTS)
            resize_pos_embed(state, made)
            photos = {key.removeprefix("visual."): state[key] for key in state if key.startswith("visual.")}
            made.visual.load_state_dict(photos)
        if by_timm and size:
            made.visual.set_input_size(size)
        return Tower(made.visual)

    if not weights:
        return _without_weights(name, folder, build)
    try:
        return build().eval().requires_grad_(False)
    except Exception as error:  # open_clip raises nearly anything on a config that it cannot follow
        raise cannot_load(BACKBONE, name, folder, error) from error


def fix_positions(model: torch.nn.Module, height: int, width: int) -> None:
    """Interpolate an encoder's position embeddings once for photos of one size, not anew for each batch.

    On a GPU that is 5 % of DINOv2-base's forward pass. The values are those that the model itself computes;
    encoders that interpolate none, and photos that are not square, are left alone.

    Args:
        model: the encoder, on its device and in its precision, which takes photos of this size.
        height: of the photos that it will see, in pixels.
        width: likewise.
    """
    import torch

    encoder: Any = model
    model_type = getattr(getattr(encoder, "config", None), "model_type", None)
    if model_type not in _INTERPOLATING_MODEL_TYPES or height != width:
        return
    embeddings = encoder.embeddings
    rows, columns = embeddings.patch_embeddings.patch_size
    kept = embeddings.position_embeddings
    with torch.no_grad():
        sequence = kept.new_zeros(1, 1 + (height // rows) * (width // columns), kept.shape[-1])
        positions = embeddings.interpolate_pos_encoding(sequence, height, width)
    embeddings.position_embeddings = torch.nn.Parameter(positions.clone(), requires_grad=False)


def read_config(name: str, folder: Path) -> Any:
    """The config of a model's encoder of photos, as transformers reads it; None for a folder of open_clip.

    Raises:
        BackboneError: it cannot be followed, or what reads it is not installed.
    """
    from transformers import AutoConfig

    kind = format_of(folder)
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind]) is None:
        raise BackboneError(
            f"SNAKE_BACKBONE {name!r} is a model of {kind}, which is not installed: pip install "
            f"'snake-assets[{kind}]'."
        )
    if kind == OPEN_CLIP:
        return None
    try:
        with quiet_transformers():
            config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises nearly anything on a config that it cannot follow
        raise cannot_load(BACKBONE, name, folder, error) from error
    # timm writes the number of classes there, and transformers' wrapper, which wants no head, gives its own.
    if isinstance(given := getattr(config, "model_args", None), dict):
        given.pop("num_classes", None)
    return getattr(config, "vision_config", config)


def cannot_load(kind: ModelKind, name: str, folder: Path, error: Exception) -> ValueError:
    """The error to raise for a model that a library cannot load."""
    return kind.error(f"{kind.variable} {name!r} cannot be loaded from {folder}: {reason(error)}")


def reason(error: Exception) -> str:
    """What a library's error says, less advice to run code from the hub, which nothing here does."""
    if "trust_remote_code" in str(error):
        return "it needs code of its own repository, which is never run; choose a model of transformers."
    said = str(error)  # which may list all models that there are
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]} …"


DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def resolve_device(name: str) -> str:
    """Turn a device setting ("auto", "cpu", "cuda", "mps") into a device that is there; auto: the fastest.

    Raises:
        BackboneError: the name is none of these, or this machine has no such device.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, there in available.items() if there)
    if name not in available:
        raise BackboneError(f"SNAKE_DEVICE is {name!r}; choose one of {', '.join(DEVICES)}.")
    if not available[name]:
        raise BackboneError(
            f"SNAKE_DEVICE is {name!r}, but PyTorch finds no such device here; choose auto or cpu."
        )
    return name


def resolve_precision(name: str, device: str) -> str:
    """Turn a precision setting ("auto", "fp32", "bf16", "fp16") into the one to compute in.

    Auto is bf16 where the device has units for it (CUDA from Ampere on, processors with AVX512-BF16 or AMX),
    fp16 on an older CUDA device, and fp32 elsewhere.

    Args:
        name: the setting.
        device: a device as `resolve_device` returns it.

    Raises:
        BackboneError: the name is none of these.
    """
    import torch

    if name not in PRECISIONS:
        raise BackboneError(f"SNAKE_PRECISION is {name!r}; choose one of {', '.join(PRECISIONS)}.")
    if name != "auto":
        return name
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # Elsewhere a processor only emulates bf16, and is slower by it.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)  # older versions of PyTorch do not tell
    units: dict[str, Any] = capabilities() if device == "cpu" else {}
    return "bf16" if units.get("avx512_bf16") or units.get("amx_tile") else "fp32"
