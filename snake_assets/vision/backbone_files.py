"""The files of a backbone: a folder or a hub id located, checked to be complete, and identified by digest."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing import PREPROCESSOR_CONFIG

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"
_HUB_FILES = [_CONFIG, PREPROCESSOR_CONFIG, _WEIGHTS, _WEIGHTS_INDEX, "model-*-of-*.safetensors"]


def locate_backbone(name: str, revision: str | None) -> Path:
    """Find the folder with a backbone's config, preprocessor config and safetensors weights.

    A name that exists as a directory or starts with ".", "/" or "~" is a folder and never touches the
    network; it has no revisions, so `revision` is ignored. Any other name is a model id on the hub: the
    needed files, and no others, are fetched into the hub's cache, or taken from there without a network.

    Raises:
        BackboneError: the folder lacks a file or holds only pickled weights, or the hub gives no such model.
    """
    if name.startswith((".", "/", "~")) or (name and Path(name).is_dir()):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise BackboneError(f"SNAKE_BACKBONE is {name!r}, but there is no such folder.")
    else:
        folder = _fetch(name, revision)
    _weights_files(name, folder)
    return folder


def weights_digest(folder: Path) -> str:
    """Identity of a backbone: sha256, in hex, over names and contents of its configs and weights.

    Files are read anew only after their size or time of change differs, so asking again costs microseconds.

    Raises:
        BackboneError: a needed file is missing.
    """
    return _digest(
        tuple((path, (s := path.stat()).st_size, s.st_mtime_ns) for path in _files(str(folder), folder))
    )


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES))
    except Exception as error:  # validation, HTTP, connection and disk errors share no base class
        raise BackboneError(
            f"SNAKE_BACKBONE is {name!r}, which is no folder here, and the Hugging Face hub does not give it "
            f"(revision {revision or 'main'}): {error} Check the name, SNAKE_REVISION and the connection, "
            "or set SNAKE_BACKBONE to a folder that holds the model."
        ) from error


def _files(name: str, folder: Path) -> list[Path]:
    return [folder / _CONFIG, folder / PREPROCESSOR_CONFIG, *_weights_files(name, folder)]


def _weights_files(name: str, folder: Path) -> list[Path]:
    """The weights in a folder, once everything that loading needs is seen to be there."""
    where = f"SNAKE_BACKBONE is {name!r}: the folder {folder}"
    for needed in (_CONFIG, PREPROCESSOR_CONFIG):
        if not (folder / needed).is_file():
            raise BackboneError(f"{where} has no {needed}; fetch it from the model's page.")
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if (folder / _WEIGHTS_INDEX).is_file():
        try:
            index = json.loads((folder / _WEIGHTS_INDEX).read_text(encoding="utf-8"))
            shards = sorted({folder / str(shard) for shard in index["weight_map"].values()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackboneError(f"{where} has a {_WEIGHTS_INDEX} that cannot be read: {error!r}.") from error
        for shard in shards:
            if not shard.is_file():
                raise BackboneError(f"{where} has no {shard.name}, which {_WEIGHTS_INDEX} names; fetch it.")
        return [folder / _WEIGHTS_INDEX, *shards]
    if list(folder.glob("*.bin")):
        raise BackboneError(
            f"{where} has only pickled weights (.bin). Loading a pickle can run any code, so it is refused; "
            f"convert them to {_WEIGHTS} with save_pretrained where you trust the file."
        )
    raise BackboneError(
        f"{where} has no {_WEIGHTS} (nor {_WEIGHTS_INDEX}); weights in safetensors are needed."
    )


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{path.name}\0{content}\n".encode())
    return total.hexdigest()
