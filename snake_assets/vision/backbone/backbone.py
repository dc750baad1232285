"""A frozen vision model, from the Hugging Face hub or a folder, and what it sees in photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snake_assets.vision.backbone.encoder import (
    fix_positions,
    load_encoder,
    read_config,
    resolve_device,
    resolve_precision,
)
from snake_assets.vision.backbone.model_files import BACKBONE, SEEN_FILE, backbone_names
from snake_assets.vision.backbone.processor_config import read_preprocessing
from snake_assets.vision.backbone.tokens import Layout, Seen, forward, lay_out
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.transforms import BackboneInput, Preprocessing, View

if TYPE_CHECKING:
    import torch


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
        layout: where its tokens are in what it returns.
        folder: where its files are.
        view: how it looks at photos.
        beside: others that see the same photos, and whose vectors stand behind its own; what is said of a
            backbone here and above is said of the first, unless `parts` are named.
    """

    name: str
    revision: str | None
    device: str
    precision: str
    preprocessing: Preprocessing
    digest: str
    layout: Layout
    folder: Path = field(repr=False)
    view: View = field(default_factory=View)
    beside: tuple[Backbone, ...] = ()

    @property
    def parts(self) -> tuple[Backbone, ...]:
        """The first, and those beside it."""
        return (self, *self.beside)

    @property
    def input(self) -> BackboneInput:
        """Makes photos ready for all parts; one picture serves those that want it alike."""
        first, *others = dict.fromkeys(part.preprocessing for part in self.parts)
        return BackboneInput(first, beside=tuple(others))

    def on(self, device: str) -> Backbone:
        """The same with all parts on another device."""
        return replace(self, device=device, beside=tuple(part.on(device) for part in self.beside))

    @cached_property
    def model(self) -> torch.nn.Module:
        """The model in eval mode, checked on one photo.

        Only safetensors weights are read and no code from the model's repository is run.

        Raises:
            BackboneError: it cannot be loaded, lacks weights of its encoder, or sees another thing in the
                same photo each time.
        """
        import torch

        size = self.preprocessing.input_size if self.resized else None
        model = load_encoder(self.name, self.folder, size).to(self.device, self._dtype)
        if self.device.startswith("cuda"):
            model = model.to(memory_format=torch.channels_last)  # as `Preprocessing.pixel_values` there
        _check_tokens(self, model)
        fix_positions(model, *self.preprocessing.input_size)
        return model

    def __getstate__(self) -> dict[str, Any]:
        """To other processes it goes without its model, which each loads itself."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def refuse_other_files(self) -> None:
        """Raise BackboneError where a part's folder holds another model than the one that was opened."""
        for part in self.parts:
            if BACKBONE.digest(part.folder) != part.digest:
                raise BackboneError(
                    f"{part.folder} holds another model on this machine than where the pass was started: put "
                    "the same files there."
                )

    def see(self, pixel_values: torch.Tensor) -> Seen:
        """One forward pass over photos: float32 [B, 3, h, w], moved to the backbone's device.

        Args:
            pixel_values: as `preprocessing.pixel_values` makes them.

        Raises:
            BackboneError: as `model`.
        """
        import torch

        with torch.no_grad():
            photos = pixel_values.to(self.device, self._dtype)
            return self.layout.read(self.model, forward(self.model, photos, resized=self.resized))

    def compile(self, photos: int) -> None:
        """Compile the models of all parts for batches of so many photos, which takes up to a minute each.

        Raises:
            BackboneError: as `model`.
        """
        import torch

        for part in self.beside:
            part.compile(photos)
        if photos in self._compiled_for:
            return
        self._compiled_for.add(photos)
        self.model.compile(dynamic=False)
        self.see(torch.zeros(photos, 3, *self.preprocessing.input_size))

    @cached_property
    def _compiled_for(self) -> set[int]:
        return set()

    @property
    def hidden_size(self) -> int:
        """D, the width of a token."""
        return self.layout.widths["patch_mean"]

    @property
    def patch_grid(self) -> tuple[int, int]:
        """(rows, columns) of patches. Raises BackboneError where tokens have no grid."""
        if self.layout.grid is None:
            raise BackboneError(f"SNAKE_BACKBONE {self.name!r} gives no grid of tokens: choose another.")
        return self.layout.grid

    @cached_property
    def seen(self) -> frozenset[str]:
        """SHA-256 of the photos that it, or one beside it, was fine-tuned on here; empty where none was."""
        return frozenset(digest for part in self.parts for digest in _seen_by(part.folder))

    @property
    def resized(self) -> bool:
        """Whether photos come in another size than the model's own."""
        return self.view.resolution is not None

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
            **({"tuned_on": len(own)} if (own := _seen_by(self.folder)) else {}),
            **({"beside": [part.fingerprint_parts() for part in self.beside]} if self.beside else {}),
        }


def _seen_by(folder: Path) -> list[str]:
    file = folder / SEEN_FILE
    return file.read_text(encoding="utf-8").split() if file.is_file() else []


def _check_tokens(backbone: Backbone, model: torch.nn.Module) -> None:
    """Refuse a model that returns other tokens than were laid out, or other ones each time."""
    import torch

    size, resized = backbone.preprocessing.input_size, backbone.view.resolution is not None
    weight = next(model.parameters())
    ramp = torch.linspace(-1, 1, 3 * size[0] * size[1], device=weight.device, dtype=weight.dtype)
    photo = ramp.view(1, 3, *size)
    try:
        with torch.inference_mode():
            first, again = (forward(model, photo, resized=resized).last_hidden_state[0] for _ in range(2))
    except Exception as error:  # whatever a model that takes no photos of this size raises
        raise _not_seen(backbone.name, model, size, error) from error
    # On a GPU, the same twice may differ by its rounding.
    differs = float((first - again).abs().max()) > 0.1 * float(first.abs().max())
    if tuple(first.shape) != backbone.layout.shape or differs:
        raise BackboneError(
            f"SNAKE_BACKBONE {backbone.name!r} ({type(model).__name__}) returns other tokens each time it "
            "sees a photo, as models do that mask a part of it by chance: choose another."
        )


def _not_seen(name: str, model: torch.nn.Module, size: tuple[int, int], error: Exception) -> BackboneError:
    return BackboneError(
        f"SNAKE_BACKBONE {name!r} ({type(model).__name__}) does not turn photos of {size[0]} x {size[1]} "
        f"into tokens ({error}). Where it takes photos of one size only, set scale to 1 in the config of "
        "`embeddings`."
    )


def open_backbone(
    name: str | Sequence[str],
    *,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    view: View | None = None,
) -> Backbone:
    """Find a backbone, or several beside each other, and read their configs; no model is loaded yet.

    Args:
        name: a model id on the Hugging Face hub, or a folder in its format (see `ModelKind.locate`); several
            as a list, or as `backbone_names` reads them.
        revision: branch, tag or commit on the hub, of every one that comes from there.
        device: see `resolve_device`.
        precision: see `resolve_precision`.
        view: how it is to look at photos; None is its own way.

    Raises:
        BackboneError: a backbone cannot be found, is no vision model, cannot have this view, or is named
            twice.
    """
    names = backbone_names(name) if isinstance(name, str) else name
    device = resolve_device(device)
    precision = resolve_precision(precision, device)
    first, *others = (_opened(one, revision, device, precision, view or View()) for one in names)
    if len({part.digest for part in (first, *others)}) < len(names):
        raise BackboneError(
            f"SNAKE_BACKBONE names the same model twice ({', '.join(names)}), and its vectors tell nothing "
            "new the second time: name each once."
        )
    return replace(first, beside=tuple(others))


def _opened(name: str, revision: str | None, device: str, precision: str, view: View) -> Backbone:
    folder = BACKBONE.locate(name, revision)
    # Not where the snapshot's own folder was named: that is a folder like any other.
    from_hub = folder.parent.name == "snapshots" and folder != Path(name).expanduser()
    read_config(name, folder)
    own = read_preprocessing(folder)
    natural = own.viewed(None, view.resize).input_size
    layout = _laid_out(name, folder, natural, resized=False)
    stride = layout.stride(natural)
    view = replace(view, resolution=view.side(natural, stride), scale=1.0)
    preprocessing = own.viewed(view.resolution, view.resize)
    height, width = preprocessing.input_size
    if height % stride or width % stride:
        raise BackboneError(
            f"{height} x {width} pixels cannot be cut into patches of {stride} x {stride}: choose a "
            f"resolution that is a multiple of {stride}."
        )
    if view.resolution is not None:
        layout = _laid_out(name, folder, (height, width), resized=True)
    known_as = folder.resolve().name
    if from_hub:
        known_as = folder.parents[1].name.removeprefix("models--").replace("--", "/")
    return Backbone(
        name=known_as,
        revision=folder.name if from_hub else None,
        device=device,
        precision=precision,
        preprocessing=preprocessing,
        digest=BACKBONE.digest(folder),
        layout=layout,
        folder=folder,
        view=view,
    )


def _laid_out(name: str, folder: Path, size: tuple[int, int], *, resized: bool) -> Layout:
    model = load_encoder(name, folder, size if resized else None, weights=False)
    try:
        return lay_out(model, size, resized=resized)
    except Exception as error:  # whatever a model that takes no photos of this size raises
        raise _not_seen(name, model, size, error) from error
