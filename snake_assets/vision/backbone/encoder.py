"""The vision transformer in a model's folder: what its config says of it, and the model itself."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snake_assets.vision.backbone.model_files import BACKBONE, ModelKind
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
        raise kind.error(f"{kind.variable} {name!r} cannot be loaded from {folder}: {error}") from error
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in unused))
    if missing:
        raise kind.error(
            f"{kind.variable} {name!r}: the weights in {folder} lack {len(missing)} of the model's, such as "
            f"{', '.join(missing[:3])}. They belong to another model, or the file is damaged; fetch it again."
        )
    return model.eval().requires_grad_(False)  # type: ignore[no-any-return]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the loading report (unused heads are no news) and the progress bar, then restore both."""
    from transformers.utils import logging as hf_logging

    switches: Any = hf_logging  # its functions are untyped
    verbosity, bars = switches.get_verbosity(), switches.is_progress_bar_enabled()
    switches.set_verbosity_error()
    switches.disable_progress_bar()
    try:
        yield
    finally:
        switches.set_verbosity(verbosity)
        if bars:
            switches.enable_progress_bar()


# Their last_hidden_state was read to be the output of the final norm (transformers 5.23). Others may differ:
# CLIP's is taken before it.
_NORMED_MODEL_TYPES = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit")

# Of these, what keeps an embedding of each patch's position, brought to other sizes by itself.
_INTERPOLATING_MODEL_TYPES = ("dinov2", "dinov2_with_registers", "vit")

# Weights that no forward pass without masking or pooling touches; many published files leave them out.
_UNUSED_WEIGHTS = ("mask_token", "pooler.")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """What the config of a vision transformer says of its tokens.

    Attributes:
        hidden_size: the width of a token.
        prefix_tokens: how many come before the patches: CLS and any registers.
        layers: how many layers there are.
        patch: (height, width) of a patch in pixels.
    """

    hidden_size: int
    prefix_tokens: int
    layers: int
    patch: tuple[int, int]


def read_encoder(name: str, folder: Path) -> Encoder:
    """Read the config of a model's folder; a kind whose tokens nobody looked at yet is named in the log.

    Raises:
        BackboneError: it cannot be followed, or is of no vision transformer.
    """
    config = _read_config(name, folder)
    patch = getattr(config, "patch_size", None)
    hidden_size = getattr(config, "hidden_size", None)
    if patch is None or hidden_size is None:
        raise BackboneError(
            f"SNAKE_BACKBONE {name!r} is a {config.model_type!r} model, whose config has no patch_size and "
            "hidden_size of its own; choose a vision transformer such as DINOv2, DINOv3 or ViT."
        )
    if config.model_type not in _NORMED_MODEL_TYPES:
        logger.warning(
            "It was not checked that tokens of %r models come after their final norm (checked: %s).",
            config.model_type,
            ", ".join(_NORMED_MODEL_TYPES),
        )
    height, width = (patch, patch) if isinstance(patch, int) else patch
    return Encoder(
        hidden_size=hidden_size,
        prefix_tokens=1 + getattr(config, "num_register_tokens", 0),
        layers=getattr(config, "num_hidden_layers", 1),
        patch=(height, width),
    )


def load_encoder(name: str, folder: Path) -> torch.nn.Module:
    """The encoder in a model's folder, for inference on the CPU.

    Raises:
        BackboneError: it cannot be loaded, or weights of its encoder are missing.
    """
    from transformers import MODEL_MAPPING, AutoModel

    config = _read_config(name, folder)
    kind: Any = MODEL_MAPPING.get(type(config), None)
    # A pooler that the file lacks would be filled with random weights, and it is not needed.
    takes_pooler = inspect.isclass(kind) and "add_pooling_layer" in inspect.signature(kind).parameters
    options = {"add_pooling_layer": False} if takes_pooler else {}
    return loaded(AutoModel, name, folder, BACKBONE, _UNUSED_WEIGHTS, config=config, **options)


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
    if encoder.config.model_type not in _INTERPOLATING_MODEL_TYPES or height != width:
        return
    embeddings = encoder.embeddings
    rows, columns = embeddings.patch_embeddings.patch_size
    kept = embeddings.position_embeddings
    with torch.no_grad():
        sequence = kept.new_zeros(1, 1 + (height // rows) * (width // columns), kept.shape[-1])
        positions = embeddings.interpolate_pos_encoding(sequence, height, width)
    embeddings.position_embeddings = torch.nn.Parameter(positions.clone(), requires_grad=False)


def forward_options(model: torch.nn.Module, *, other_resolution: bool) -> dict[str, bool]:
    """What a forward pass must be told, as far as the model's class takes it.

    Args:
        model: the encoder.
        other_resolution: whether photos come in another size than the model's own.
    """
    takes = inspect.signature(model.forward).parameters
    # DINOv2 interpolates its position embeddings unasked, ViT only when told, DINOv3 has none.
    if other_resolution and "interpolate_pos_encoding" in takes:
        return {"interpolate_pos_encoding": True}
    return {}


def final_norm(model: torch.nn.Module) -> torch.nn.Module:
    """The norm that an encoder's tokens come out of."""
    modules = dict(model.named_children())
    return modules["layernorm"] if "layernorm" in modules else modules["norm"]


def _read_config(name: str, folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises nearly anything on a config that it cannot follow
        raise BackboneError(f"SNAKE_BACKBONE {name!r} cannot be loaded from {folder}: {error}") from error
