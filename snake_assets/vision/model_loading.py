"""A model out of its folder: safetensors only, no code of its own, no network, and whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snake_assets.vision.model_files import ModelKind

if TYPE_CHECKING:
    import torch


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
