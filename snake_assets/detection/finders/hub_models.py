"""Detectors in the format of transformers: a folder or a hub id, known by digest before anything is loaded.

Weights are safetensors and everything else is JSON or text, so that nothing in a folder can run code; classes
are named here and never by the folder.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.yolo_weights import check_pin
from snake_assets.vision.backbone.encoder import loaded, quiet_transformers
from snake_assets.vision.backbone.model_files import ModelKind

if TYPE_CHECKING:
    import torch

_CONFIG = "config.json"
# Published folders have the first; transformers 5 writes the second.
_PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
# Without one of each transformers makes an empty vocabulary, and no error.
_VOCABULARY, _MERGES = ("tokenizer.json", "vocab.json"), ("tokenizer.json", "merges.txt")
_FURTHER = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True)
class HubKind:
    """What a model of transformers is wanted for.

    Attributes:
        called: what to ask a user for.
        files: which of its files count.
        one_of: of each group of files, one at least must be there.
        model_types: `model_type` in its config.json.
    """

    called: str
    files: ModelKind
    one_of: tuple[tuple[str, ...], ...]
    model_types: tuple[str, ...]


def owl(variable: str) -> HubKind:
    """OWL-ViT and OWLv2, named by a setting."""
    further = (*_PREPROCESSING, *dict.fromkeys((*_VOCABULARY, *_MERGES, *_FURTHER)))
    files = ModelKind(variable, (_CONFIG,), further, DetectionError, fetched=False)
    return HubKind("OWL-ViT or OWLv2", files, (_PREPROCESSING, _VOCABULARY, _MERGES), ("owlvit", "owlv2"))


def sam(variable: str) -> HubKind:
    """SAM (the first; SAM 2 and 3 are other architectures), named by a setting."""
    files = ModelKind(variable, (_CONFIG,), _PREPROCESSING, DetectionError, fetched=False)
    return HubKind("SAM", files, (_PREPROCESSING,), ("sam",))


@dataclass(frozen=True)
class HubModel:
    """A model that was found and is not loaded: what the user calls it, its folder, digest and type."""

    name: str
    folder: Path
    kind: HubKind
    sha256: str
    model_type: str

    def load(self, auto: Any, device: str) -> "torch.nn.Module":
        """The model by one of transformers' classes, float32, in eval mode, on the device.

        Raises:
            DetectionError: the folder has changed, lacks weights, or transformers cannot follow it.
        """
        self._same_files()
        return loaded(auto, self.name, self.folder, self.kind.files).to(device)

    def part(self, named: Any) -> Any:
        """What goes with the model (an image processor, a tokenizer), by the class that is to read it.

        Raises:
            DetectionError: as `load`.
        """
        self._same_files()
        try:
            with quiet_transformers():
                return named.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # transformers raises nearly anything on a file that it cannot follow
            raise DetectionError(
                f"{self.kind.files.variable} {self.name!r}: no {named.__name__} can be made of "
                f"{self.folder}: {error} Fetch the folder again."
            ) from error

    def _same_files(self) -> None:
        if self.kind.files.digest(self.folder) != self.sha256:
            raise DetectionError(f"{self.folder} has changed since its SHA-256 was taken: run again.")


def open_hub_model(kind: HubKind, named: str, pinned_sha256: str | None = None) -> HubModel:
    """Find a model and take its digest; loads nothing, fetches nothing.

    Args:
        kind: what it is wanted for.
        named: a folder, which never touches the network, or an id that the hub's cache on this machine holds.
        pinned_sha256: the `ModelKind.digest` that it must have; None for no pin.

    Raises:
        DetectionError: it is not there, lacks files, has only pickled weights, is not the pinned one, or is a
            model of another type.
    """
    folder = kind.files.locate(named)
    digest = kind.files.digest(folder)
    check_pin(folder, digest, pinned_sha256)
    where = f"{kind.files.variable} is {named!r}: the folder {folder}"
    for group in kind.one_of:
        if not any((folder / name).is_file() for name in group):
            raise DetectionError(f"{where} has no {' nor '.join(group)}; fetch it from the model's page.")
    try:
        model_type = json.loads((folder / _CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise DetectionError(f"{where} has a {_CONFIG} that cannot be read: {error!r}.") from error
    if model_type not in kind.model_types:
        raise DetectionError(
            f"{where} holds a model of type {model_type!r}; {kind.called} is wanted (model_type "
            f"{' or '.join(kind.model_types)} in its {_CONFIG})."
        )
    return HubModel(named, folder, kind, digest, model_type)


@contextmanager
def failures_told(model: HubModel, device: str) -> Iterator[None]:
    """A model that fails on photos fails by a DetectionError that says what may help."""
    try:
        yield
    except DetectionError:
        raise
    except (RuntimeError, MemoryError, ValueError, IndexError) as error:
        raise DetectionError(
            f"{model.kind.called} ({model.folder}) failed on {device}: {error} If memory ran out, set a "
            "smaller batch or model; else its configs and weights may not belong together."
        ) from error
