"""The files of a model: a folder or a hub id located, checked to be complete, and identified by digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.processor_config import PREPROCESSOR_CONFIG

# What a model's config.json asks for, before transformers builds it: it would try, whatever the numbers.


CONFIG = "config.json"
# With names for 21,843 classes it has 2 MB.
MOST_BYTES = 16 << 20
# The largest vision transformers have 60. Each is built in Python, whether there are weights for it or not.
MOST_LAYERS = 1000
_COUNTS = ("layers", "depth", "depths", "blocks")


def config_fault(path: Path) -> str | None:
    """Why a config is not to be followed, or None; what cannot be read is left to whoever loads the model."""
    if not path.is_file():
        return None
    if (size := path.stat().st_size) > MOST_BYTES:
        return f"has {size} bytes, more than {MOST_BYTES}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, value in _entries(content):
            if key.endswith(_COUNTS) and isinstance(value, int | float) and value > MOST_LAYERS:
                return f"asks for {value} {key}, more than {MOST_LAYERS}"
            if key.endswith("patch_size") and value == 0:
                return "has a patch_size of 0"
            # A name with an owner is code from the hub, which transformers would fetch and run.
            if key.endswith("attn_implementation") and "/" in str(value):
                return f"asks for {value!r} as {key}, which is code from elsewhere"
    except RecursionError:
        return "is nested too deep"
    except ValueError:
        return None
    return None


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values, of objects within objects too; a list gives its entries under its key."""
    if isinstance(content, dict):
        for key, value in content.items():
            for one in value if isinstance(value, list) else (value,):
                yield key, one
                yield from _entries(one)


_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"
_WEIGHTS_SHARDS = "model-*-of-*.safetensors"


@dataclass(frozen=True)
class ModelKind:
    """What a model is wanted for.

    Attributes:
        variable: the setting that names it, for messages.
        needed: files without which it cannot be used, besides the weights.
        further: patterns of files that it also reads where they are there.
        error: what is raised, a ValueError.
        revision: the setting that names a revision on the hub, for messages; None where there is none.
        fetched: whether what the hub's cache lacks is fetched; else the cache alone is looked into.
    """

    variable: str
    needed: tuple[str, ...]
    further: tuple[str, ...]
    error: type[ValueError]
    revision: str | None = None
    fetched: bool = True

    def locate(self, name: str, revision: str | None = None) -> Path:
        """Find the folder with a model's configs and safetensors weights.

        A name that exists as a directory or starts with ".", "/" or "~" is a folder and never touches the
        network; it has no revisions, so `revision` is ignored. Any other name is a model id on the hub: the
        needed files, and no others, are fetched into the hub's cache, or taken from there without a network
        (only so unless `fetched`).

        Raises:
            ValueError: of the kind's class: the folder lacks a file or holds only pickled weights, or the hub
                gives no such model.
        """
        if name.startswith((".", "/", "~")) or (name and Path(name).is_dir()):
            folder = Path(name).expanduser()
            if not folder.is_dir():
                raise self.error(f"{self.variable} is {name!r}, but there is no such folder.")
        else:
            folder = self._fetch(name, revision)
        self._weights_files(name, folder)
        if (fault := config_fault(folder / CONFIG)) is not None:
            raise self.error(f"{self.variable} is {name!r}: {folder / CONFIG} {fault}; fetch it again.")
        return folder

    def digest(self, folder: Path) -> str:
        """Identity of a model: sha256, in hex, over names and contents of its configs and weights.

        Files are read anew only after their size or time of change differs, so asking again is quick.

        Raises:
            ValueError: of the kind's class: a needed file is missing.
        """
        weights = self._weights_files(str(folder), folder)
        further = sorted({path for pattern in self.further for path in folder.glob(pattern)})
        files = [*(folder / name for name in self.needed), *further, *weights]
        return _digest(tuple((path, (s := path.stat()).st_size, s.st_mtime_ns) for path in files))

    def _fetch(self, name: str, revision: str | None) -> Path:
        from huggingface_hub import snapshot_download

        wanted = [*self.needed, *self.further, _WEIGHTS, _WEIGHTS_INDEX, _WEIGHTS_SHARDS]
        try:
            return Path(
                snapshot_download(
                    name, revision=revision, allow_patterns=wanted, local_files_only=not self.fetched
                )
            )
        except Exception as error:  # validation, HTTP, connection and disk errors share no base class
            if not self.fetched:
                raise self.error(
                    f"{self.variable} is {name!r}, which is no folder here, and the Hugging Face hub's cache "
                    f"on this machine does not hold it (revision {revision or 'main'}): {error} Nothing is "
                    f"downloaded here: run `hf download {name}` once, or set {self.variable} to a folder "
                    "that holds the model."
                ) from error
            to_check = f"the name, {self.revision}" if self.revision else "the name"
            raise self.error(
                f"{self.variable} is {name!r}, which is no folder here, and the Hugging Face hub does not "
                f"give it (revision {revision or 'main'}): {error} Check {to_check} and the connection, "
                f"or set {self.variable} to a folder that holds the model."
            ) from error

    def _weights_files(self, name: str, folder: Path) -> list[Path]:
        """The weights in a folder, once everything that loading needs is seen to be there."""
        where = f"{self.variable} is {name!r}: the folder {folder}"
        for needed in self.needed:
            if not (folder / needed).is_file():
                raise self.error(f"{where} has no {needed}; fetch it from the model's page.")
        if (folder / _WEIGHTS).is_file():
            return [folder / _WEIGHTS]
        if (folder / _WEIGHTS_INDEX).is_file():
            try:
                index = json.loads((folder / _WEIGHTS_INDEX).read_text(encoding="utf-8"))
                shards = sorted({folder / str(shard) for shard in index["weight_map"].values()})
                # transformers would follow it anywhere, and unpickle what it names.
                astray = [
                    shard for shard in shards if shard.parent != folder or shard.suffix != ".safetensors"
                ]
                if astray:
                    raise ValueError(f"it names {astray[0]}, which is no .safetensors in this folder")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise self.error(f"{where} has a {_WEIGHTS_INDEX} that cannot be read: {error!r}.") from error
            for shard in shards:
                if not shard.is_file():
                    raise self.error(f"{where} has no {shard.name}, which {_WEIGHTS_INDEX} names; fetch it.")
            return [folder / _WEIGHTS_INDEX, *shards]
        if list(folder.glob("*.bin")):
            raise self.error(
                f"{where} has only pickled weights (.bin). Loading a pickle can run any code, so it is "
                f"refused; convert them to {_WEIGHTS} with save_pretrained where you trust the file."
            )
        raise self.error(
            f"{where} has no {_WEIGHTS} (nor {_WEIGHTS_INDEX}); weights in safetensors are needed."
        )


BACKBONE = ModelKind("SNAKE_BACKBONE", (CONFIG, PREPROCESSOR_CONFIG), (), BackboneError, "SNAKE_REVISION")


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{path.name}\0{content}\n".encode())
    return total.hexdigest()
