"""What an encoder shows of photos: where its tokens are in what it returns, and the features made of them.

Nothing here knows one kind of model from another: an encoder without weights is shown a blank photo, and the
shapes that come back tell.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Parameters that are a CLS token, by the last part of their names: transformers and timm, CLIP and open_clip.
_CLS = ("cls_token", "class_embedding")
# More tokens before the patches than any encoder's CLS, distillation and register tokens.
_MOST_PREFIX = 16
# A pyramid of convolutions or windows halves a photo five times.
_USUAL_STRIDE = 32
# Of the tokens' transform, 8 x 8 coefficients are kept.
DCT_KEPT = 8
NO_GRID = (
    "Left out: this backbone gives no grid of 8 tokens or more, over which the paper's DCT could be taken. "
    "What reads it does without."
)


@dataclass(frozen=True)
class Seen:
    """What a forward pass shows of B photos, float32 on the encoder's device.

    Attributes:
        tokens: [B, T, D]: the patches in reading order, behind the CLS token where there is one; registers
            are left out. After the final norm, where there is a CLS token or the model puts it to them.
        embedding: [B, D], the CLS token, else the model's own pooled output, else the mean token.
        patch_mean: [B, D], the mean patch token.
        earlier_cls: [B, E], the CLS token two hidden states before the last, after the final norm; without
            one, the mean token there; without hidden states, `embedding`.
        middle_mean: [B, M], the mean patch token half way, as it is; without hidden states, `patch_mean`.
    """

    tokens: torch.Tensor
    embedding: torch.Tensor
    patch_mean: torch.Tensor
    earlier_cls: torch.Tensor
    middle_mean: torch.Tensor


@dataclass(frozen=True)
class Layout:
    """Where an encoder's tokens are, for photos of one size.

    Attributes:
        shape: of what it returns for one photo, without the photo's own axis.
        grid: (rows, columns) of the patch tokens; None where they are none.
        prefix: tokens before the patches: CLS, distillation, registers.
        has_cls: whether the first of them is a CLS token.
        pooled: whether the model gives a pooled output of its own.
        normed: whether tokens come after the final norm; else it is put to them here.
        channels_last: whether a map of features has its channels behind rows and columns.
        earlier: the hidden state, counted as transformers does, whose CLS token goes along; None without any.
        middle: the one whose patch tokens go along, likewise.
        earlier_has_cls: whether hidden states have the CLS token.
        widths: by column of the tables, the length of a vector.
    """

    shape: tuple[int, ...]
    grid: tuple[int, int] | None
    prefix: int
    has_cls: bool
    pooled: bool
    normed: bool
    channels_last: bool
    earlier: int | None
    middle: int | None
    earlier_has_cls: bool
    widths: Mapping[str, int]

    @property
    def has_dct(self) -> bool:
        """Whether the tokens are a matrix that is transformed."""
        return self.grid is not None and math.prod(self.grid) + self.has_cls >= DCT_KEPT

    def stride(self, size: tuple[int, int]) -> int:
        """Pixels from one token to the next, by the photos' (height, width)."""
        return _USUAL_STRIDE if self.grid is None else max(1, size[0] // self.grid[0])

    def sources(self) -> dict[str, str] | None:
        """What each column is where it is not what its name says; None where all are."""
        if self.earlier_has_cls:
            return None
        pooled = "the model's pooled output" if self.pooled else "mean token"
        grid = f"{self.grid[0]} x {self.grid[1]} tokens" if self.grid else "all tokens"
        found = {"embedding": "CLS token" if self.has_cls else pooled, "patch_mean": f"mean of {grid}"}
        if self.earlier is None:
            return {**found, "earlier_cls": "embedding", "middle_mean": "patch_mean"}
        return {
            **found,
            "earlier_cls": f"mean token of hidden state {self.earlier}",
            "middle_mean": f"mean token of hidden state {self.middle}",
        }

    def read(self, model: torch.nn.Module, output: Any) -> Seen:
        """The features in what the model returned."""
        hidden = self._sequence(output.last_hidden_state)
        if self.has_cls and not self.normed:
            hidden = _applied(final_norm(model, hidden.shape[2]), hidden)
        patches = hidden[:, self.prefix :]
        if self.has_cls:
            import torch

            tokens = torch.cat([hidden[:, :1], patches], dim=1).float()
            embedding = tokens[:, 0]
        else:
            tokens = patches.float()
            embedding = output.pooler_output.flatten(1).float() if self.pooled else tokens.mean(dim=1)
        patch_mean = tokens[:, int(self.has_cls) :].mean(dim=1)
        if self.earlier is None or self.middle is None:
            return Seen(tokens, embedding, patch_mean, embedding, patch_mean)
        earlier, middle = (_flat(output.hidden_states[place]) for place in (self.earlier, self.middle))
        if self.earlier_has_cls:
            before = _applied(final_norm(model, earlier.shape[2]), earlier[:, 0]).float()
        else:
            before = self._patches(earlier).float().mean(dim=1)
        return Seen(tokens, embedding, patch_mean, before, self._patches(middle).float().mean(dim=1))

    def _patches(self, hidden: torch.Tensor) -> torch.Tensor:
        whole = self.grid is not None and hidden.shape[1] == self.prefix + math.prod(self.grid)
        return hidden[:, self.prefix :] if whole else hidden

    def _sequence(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.flatten(1, 2) if self.channels_last else _flat(hidden)


def lay_out(model: torch.nn.Module, size: tuple[int, int], *, resized: bool) -> Layout:
    """Show a blank photo to an encoder, which may be without weights, and see where its tokens are.

    Args:
        model: the encoder.
        size: (height, width) of the photos.
        resized: as `forward`.

    Raises:
        Exception: whatever a model raises that takes no photos, or none of this size.
    """
    import torch

    convolved: list[torch.Tensor] = []
    normed: list[torch.Tensor] = []
    first = next((one for one in model.modules() if isinstance(one, torch.nn.Conv2d)), None)
    hooks = [first.register_forward_hook(lambda *call: convolved.append(call[2]))] if first else []
    hooks += [norm.register_forward_hook(lambda *call: normed.append(call[2])) for norm in _norms(model)]
    weight = next(model.parameters())
    blank = torch.zeros(1, 3, *size, device=weight.device, dtype=weight.dtype)
    try:
        with torch.no_grad():
            output = forward(model, blank, resized=resized)
    finally:
        for hook in hooks:
            hook.remove()
    hidden, pooled = output.last_hidden_state, getattr(output, "pooler_output", None)
    if not torch.is_tensor(hidden) or hidden.ndim not in (3, 4):
        raise ValueError("it returns no tokens")
    width = pooled.shape[1] if torch.is_tensor(pooled) and pooled.ndim > 1 else None
    channels_last = hidden.ndim == 4 and width is not None and hidden.shape[1] != width == hidden.shape[3]
    grid, prefix = _grid(hidden, channels_last, convolved)
    has_cls = prefix > 0 and any(name.rpartition(".")[2] in _CLS for name, _ in model.named_parameters())
    states = getattr(output, "hidden_states", None) or ()
    last = len(states) - 1
    earlier, middle = (max(min(1, last), place) if states else None for place in (last - 2, last // 2))
    found = Layout(
        shape=tuple(hidden.shape[1:]),
        grid=grid,
        prefix=prefix,
        has_cls=has_cls,
        pooled=width is not None,
        normed=any(one is hidden for one in normed),
        channels_last=channels_last,
        earlier=earlier,
        middle=middle,
        earlier_has_cls=has_cls and earlier is not None and states[earlier].shape == hidden.shape,
        widths={},
    )
    seen = found.read(model, output)
    columns = ("embedding", "patch_mean", "earlier_cls", "middle_mean")
    return replace(found, widths={name: int(getattr(seen, name).shape[1]) for name in columns})


def forward(model: torch.nn.Module, photos: torch.Tensor, *, resized: bool) -> Any:
    """What a model returns for photos in its precision, on its device, with hidden states if it can.

    Args:
        model: the encoder.
        photos: [B, 3, h, w].
        resized: whether they come in another size than the model's own.
    """
    # DINOv2 interpolates its position embeddings unasked, ViT only when told, DINOv3 has none.
    takes = inspect.signature(model.forward).parameters
    options = {"interpolate_pos_encoding": True} if resized and "interpolate_pos_encoding" in takes else {}
    timm_model = getattr(model, "timm_model", None)
    with_states = timm_model is None or hasattr(timm_model, "forward_intermediates")
    return model(pixel_values=photos, output_hidden_states=with_states, **options)


def final_norm(model: torch.nn.Module, width: int) -> torch.nn.Module | None:
    """The norm that an encoder's tokens of this width come out of; None where it has none."""
    fitting = [one for one in _norms(model) if tuple(next(one.parameters()).shape) == (width,)]
    return fitting[-1] if fitting else None


def _norms(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The norms at the top of a model, or of the one model that it wraps, in their order."""
    children = list(model.children())
    top = children if len(children) > 1 else [deeper for child in children for deeper in child.children()]
    return [
        one
        for one in top
        if "norm" in type(one).__name__.lower() and next(one.parameters(), None) is not None
    ]


def _applied(norm: torch.nn.Module | None, hidden: torch.Tensor) -> torch.Tensor:
    return hidden if norm is None else norm(hidden)


def _grid(
    hidden: torch.Tensor, channels_last: bool, convolved: list[torch.Tensor]
) -> tuple[tuple[int, int] | None, int]:
    """(rows, columns) of the patches among an encoder's tokens, and how many tokens come before them."""
    if hidden.ndim == 4:
        rows, columns = hidden.shape[1:3] if channels_last else hidden.shape[2:4]
        return (int(rows), int(columns)), 0
    count = int(hidden.shape[1])
    # Of a vision transformer, the first convolution cuts the patches; of a pyramid, far more than are left.
    cut = [(int(one.shape[-2]), int(one.shape[-1])) for one in convolved if one.ndim == 4]
    side = math.isqrt(count)
    for grid, most in [*((grid, _MOST_PREFIX) for grid in cut), ((side, side), 1)]:
        if 0 <= count - math.prod(grid) <= most:
            return grid, count - math.prod(grid)
    return None, 0


def _flat(hidden: torch.Tensor) -> torch.Tensor:
    """Tokens [B, T, D] of a sequence, or of a map [B, D, rows, columns]."""
    return hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden
