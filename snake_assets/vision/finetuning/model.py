"""A backbone under training: its encoder with a head on CLS and mean patch token, and what of it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.encoder import load_encoder
from snake_assets.vision.backbone.tokens import forward
from snake_assets.vision.errors import BackboneError, FinetuningError
from snake_assets.vision.finetuning.settings import FinetuneSettings, Method

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
# Where none is set.
LEARNING_RATE: Mapping[Method, float] = {"full": 1e-4, "lora": 1e-3}


@dataclass(frozen=True, eq=False)
class Start:
    """Where the head begins, and what its answers cost.

    Attributes:
        weight: of a linear probe on raw CLS and mean patch tokens side by side, float32 [2 D, C].
        bias: of it, float32 [C].
        prior: share of each class among the photos to learn from, above 0, float32 [C].
        costs: of answering a class, by the true one, float32 [C, C]; None where nothing is weighed.
    """

    weight: Floats
    bias: Floats
    prior: Floats
    costs: Floats | None = None


@dataclass(frozen=True, eq=False)
class Learner:
    """What is trained.

    Attributes:
        encoder: of the backbone; with "lora", changes beside its linear layers are in it.
        module: encoder and head: photos and labels to loss and logits.
        groups: parameters that learn, with a learning rate each, as optimizers take them.
    """

    encoder: torch.nn.Module
    module: torch.nn.Module
    groups: list[dict[str, Any]]
    adapted: Any = None

    def merged(self) -> torch.nn.Module:
        """The encoder as it is published: what LoRA learned is in its weights."""
        if self.adapted is not None:
            self.adapted.merge_and_unload()
        return self.encoder.eval().requires_grad_(False)


def build_learner(backbone: Backbone, start: Start, settings: FinetuneSettings) -> Learner:
    """The encoder with its head, before the first step.

    Raises:
        BackboneError: the backbone has no CLS token, cannot be saved, or has fewer layers than are to learn.
    """
    refuse_untrainable(backbone)
    size = backbone.preprocessing.input_size
    encoder = load_encoder(backbone.name, backbone.folder, size if backbone.resized else None).float()
    path, count = _layers_of(encoder)
    if settings.layers is not None and settings.layers > count:
        raise BackboneError(
            f"{backbone.name} has {count} layers, fewer than the {settings.layers} that are to be trained: "
            "set `layers` lower, or leave it out for all."
        )
    if settings.checkpointing:
        # Else nothing would be known of the frozen start by which gradients come back.
        encoder.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    first = 0 if settings.layers is None else count - settings.layers + 1
    highest = settings.learning_rate or LEARNING_RATE[settings.method]
    if settings.method == "lora":
        adapted = _with_lora(encoder, path, max(1, first), settings)
        learning = [(highest, [one for one in encoder.parameters() if one.requires_grad])]
    else:
        adapted, learning = None, []
        for name, parameter in encoder.named_parameters():
            depth = _depth(name, path, count)
            if depth >= first:
                rate = highest * settings.layer_decay ** (count - depth)
                parameter.requires_grad_()
                learning.append((rate, [parameter]))
    module = _classifier()(encoder, backbone, start, settings)
    learning.append((settings.head_learning_rate, list(module.head.parameters())))
    return Learner(encoder, module, _groups(learning, settings.weight_decay), adapted)


def _with_lora(encoder: torch.nn.Module, path: str, first: int, settings: FinetuneSettings) -> Any:
    """peft's model around the encoder, which it changes: every linear layer from layer `first` on."""
    import torch
    from peft import LoraConfig, get_peft_model

    linear = [
        name
        for name, one in encoder.named_modules()
        if isinstance(one, torch.nn.Linear) and _layer_of(name, path) >= first
    ]
    config = LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=linear)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return get_peft_model(encoder, config)


def refuse_untrainable(backbone: Backbone) -> None:
    """Raise BackboneError for one without a CLS token, or that cannot be written and read again.

    Raises:
        FinetuningError: what training needs is not installed.
    """
    if not all(find_spec(package) for package in ("accelerate", "peft")):
        raise FinetuningError("Training needs accelerate and peft: pip install 'snake-assets[finetune]'.")
    if not backbone.layout.has_cls or backbone.layout.grid is None:
        raise BackboneError(
            f"SNAKE_BACKBONE {backbone.name!r} has no CLS token beside patch tokens, on which the head that "
            "it is trained with stands: take a vision transformer such as DINOv2, DINOv3 or ViT."
        )
    # Without weights: what can be saved is seen by its class.
    encoder = load_encoder(backbone.name, backbone.folder, weights=False)
    if not hasattr(encoder, "save_pretrained"):
        raise BackboneError(
            f"SNAKE_BACKBONE {backbone.name!r} is not in the format of transformers, in which a trained "
            "backbone is written: take one of transformers or timm."
        )
    if backbone.resized and hasattr(encoder, "timm_model"):
        raise BackboneError(
            f"SNAKE_BACKBONE {backbone.name!r} is of timm, whose position embeddings are of one size: set "
            "`scale` to 1 and no `resolution`, here and in `embeddings`, or take one of transformers."
        )


def _groups(learning: list[tuple[float, list[Any]]], decay: float) -> list[dict[str, Any]]:
    """Parameters by learning rate; weight decay on matrices alone, not on biases, norms and single tokens."""
    found: dict[tuple[float, float], list[Any]] = {}
    for rate, parameters in learning:
        for one in parameters:
            found.setdefault((rate, decay if one.squeeze().ndim > 1 else 0.0), []).append(one)
    return [{"params": some, "lr": rate, "weight_decay": by} for (rate, by), some in found.items()]


def _layers_of(encoder: torch.nn.Module) -> tuple[str, int]:
    """Name and length of the list of an encoder's layers, the longest that there is."""
    from torch.nn import ModuleList, Sequential

    lists = [
        (len(one), name) for name, one in encoder.named_modules() if isinstance(one, ModuleList | Sequential)
    ]
    count, name = max(lists, default=(0, ""))
    return name, count


def _layer_of(name: str, path: str) -> int:
    """Which layer a part belongs to, 1 for the first; 0 for what is in none."""
    number = name.removeprefix(f"{path}.").partition(".")[0]
    return int(number) + 1 if name.startswith(f"{path}.") and number.isdigit() else 0


def _depth(name: str, path: str, count: int) -> int:
    """The layer of a parameter; a norm outside of them stands behind the last, all else before the first."""
    return _layer_of(name, path) or (count if "norm" in name.lower() else 0)


def _classifier() -> Any:
    """The class of the module; PyTorch is imported no sooner."""
    import torch
    from torch.nn import functional

    class PhotoClassifier(torch.nn.Module):
        """CLS and mean patch token to logits; with labels, to the loss, too."""

        prior: torch.Tensor
        costs: torch.Tensor | None

        def __init__(
            self, encoder: torch.nn.Module, backbone: Backbone, start: Start, settings: FinetuneSettings
        ) -> None:
            super().__init__()
            self.encoder, self.backbone, self.settings = encoder, backbone, settings
            self.head = torch.nn.Linear(*start.weight.shape)
            with torch.no_grad():
                self.head.weight.copy_(torch.from_numpy(start.weight.T.copy()))
                self.head.bias.copy_(torch.from_numpy(start.bias))
            self.register_buffer("prior", torch.from_numpy(np.log(start.prior)), persistent=False)
            costs = None if start.costs is None else torch.from_numpy(start.costs)
            self.register_buffer("costs", costs, persistent=False)

        def forward(self, photos: torch.Tensor, labels: torch.Tensor | None = None) -> Mapping[str, Any]:
            if photos.dtype == torch.uint8:
                photos = self.backbone.preprocessing.pixel_values(photos)
            output = forward(self.encoder, photos, resized=self.backbone.resized)
            seen = self.backbone.layout.read(self.encoder, output)
            logits = self.head(torch.cat([seen.embedding, seen.patch_mean], dim=1)).float()
            if labels is None:
                return {"logits": logits}
            own = self.settings
            loss = functional.cross_entropy(
                logits + own.logit_adjustment * self.prior, labels, label_smoothing=own.label_smoothing
            )
            if own.venom_weight and self.costs is not None:
                costs = labels @ self.costs if labels.is_floating_point() else self.costs[labels]
                loss = loss + own.venom_weight * (logits.softmax(dim=1) * costs).sum(dim=1).mean()
            return {"loss": loss, "logits": logits.detach()}

    return PhotoClassifier
