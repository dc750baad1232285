"""The files of a model: a folder or a hub id located, checked to be complete, and identified by digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from snake_assets.vision.errors import BackboneError

# What a model's config.json asks for, before transformers builds it: it would try, whatever the numbers.


CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"
PREPROCESSOR_CONFIG, PROCESSOR_CONFIG = "preprocessor_config.json", "processor_config.json"
# Beside weights that were fine-tuned: SHA-256 of each photo that they have seen, a line each.
SEEN_FILE = "seen_photos.txt"
TRANSFORMERS, TIMM, OPEN_CLIP = "transformers", "timm", "open_clip"
# By format of a folder, the package that reads it beside transformers; the extras have the formats' names.
NEEDS = {TIMM: "timm", OPEN_CLIP: "open_clip"}
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


def format_of(folder: Path) -> str:
    """Whose format a model's folder is in: of transformers, timm or open_clip, by its config."""
    if not (folder / CONFIG).is_file():
        return OPEN_CLIP if (folder / OPEN_CLIP_CONFIG).is_file() else TRANSFORMERS
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return TRANSFORMERS
    is_timm = isinstance(config, dict) and "pretrained_cfg" in config and "architecture" in config
    return TIMM if is_timm else TRANSFORMERS


_WEIGHTS, OPEN_CLIP_WEIGHTS = "model.safetensors", "open_clip_model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"
_OWN_WEIGHTS = (_WEIGHTS, _WEIGHTS_INDEX, "model-*-of-*.safetensors")
_ADAPTER = "adapter_config.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_LFS = b"version https://git-lfs"


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
        network; it has no revisions, so `revision` is ignored. Of a model's folder in the hub's cache
        (`models--owner--name`), the snapshot of main is taken, or the only one. Any other name is a model id
        on the hub: the needed files, and no others, are fetched into the hub's cache, or taken from there
        without a network (only so unless `fetched`).

        Raises:
            ValueError: of the kind's class: the folder lacks a file or holds only pickled weights, or the hub
                gives no such model.
        """
        if name.startswith((".", "/", "~")) or (name and Path(name).is_dir()):
            folder = Path(name).expanduser()
            if folder.is_file():
                raise self.error(f"{self.variable} is {name!r}: {_of_file(folder)}")
            if not folder.is_dir():
                raise self.error(f"{self.variable} is {name!r}, but there is no such folder.")
            if (folder / "snapshots").is_dir():
                folder = self._snapshot(folder)
        else:
            folder = self._fetch(name, revision)
        self._weights_files(name, folder)
        for config in (folder / CONFIG, folder / OPEN_CLIP_CONFIG):
            if (fault := config_fault(config)) is not None:
                raise self.error(f"{self.variable} is {name!r}: {config} {fault}; fetch it again.")
        return folder

    def digest(self, folder: Path) -> str:
        """Identity of a model: sha256, in hex, over names and contents of its configs and weights.

        Files are read anew only after their size or time of change differs, so asking again is quick.

        Raises:
            ValueError: of the kind's class: a needed file is missing.
        """
        files = self.files(folder)
        return _digest(tuple((path, (s := path.stat()).st_size, s.st_mtime_ns) for path in files))

    def files(self, folder: Path) -> list[Path]:
        """All files of a model that count, and that another folder needs to hold the same model.

        Raises:
            ValueError: of the kind's class: a needed file is missing.
        """
        weights = self._weights_files(str(folder), folder)
        further = sorted({path for pattern in self.further for path in folder.glob(pattern)})
        return [*(folder / name for name in self._configs(folder)), *further, *weights]

    def _configs(self, folder: Path) -> tuple[str, ...]:
        """The needed files, which differ by the folder's format."""
        found = format_of(folder)
        if found == OPEN_CLIP:
            return (OPEN_CLIP_CONFIG,)
        own_processor = found == TIMM or (folder / PROCESSOR_CONFIG).is_file()
        return tuple(
            name
            for name in self.needed
            if name != PREPROCESSOR_CONFIG or not own_processor or (folder / name).is_file()
        )

    def _snapshot(self, folder: Path) -> Path:
        """The snapshot in a folder of the hub's cache."""
        main = folder / "refs" / "main"
        snapshots = sorted(path for path in (folder / "snapshots").iterdir() if path.is_dir())
        if main.is_file():
            snapshots = [folder / "snapshots" / main.read_text(encoding="utf-8").strip()]
        if len(snapshots) != 1 or not snapshots[0].is_dir():
            raise self.error(
                f"{self.variable} is {str(folder)!r}, a folder of the Hugging Face hub's cache that holds "
                f"{len(snapshots)} snapshots and none called main: name one of the folders in snapshots/."
            )
        return snapshots[0]

    def _fetch(self, name: str, revision: str | None) -> Path:
        from huggingface_hub import snapshot_download

        def fetched(*wanted: str) -> Path:
            return Path(
                snapshot_download(
                    name, revision=revision, allow_patterns=[*wanted], local_files_only=not self.fetched
                )
            )

        try:
            folder = fetched(*self.needed, *self.further, OPEN_CLIP_CONFIG, _ADAPTER)
            # Some models are there in two formats, gigabytes each.
            by_open_clip = format_of(folder) == OPEN_CLIP
            return fetched(*([OPEN_CLIP_WEIGHTS] if by_open_clip else _OWN_WEIGHTS))
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
        configs = self._configs(folder)
        if (folder / _ADAPTER).is_file() and not (folder / CONFIG).is_file():
            raise self.error(f"{where} {_of_adapter(folder)}")
        missing = [needed for needed in configs if not (folder / needed).is_file()]
        pickles = [path for path in folder.iterdir() if path.suffix in _PICKLES]
        if missing and pickles and not list(folder.glob("*.safetensors")):
            raise self.error(f"{where} has only pickled weights ({pickles[0].name}). {_of_file(pickles[0])}")
        if missing:
            raise self.error(f"{where} has no {missing[0]}; fetch it from the model's page.")
        for path in (*(folder / config for config in configs), *folder.glob("*.safetensors")):
            if _starts(path, _LFS):
                raise self.error(
                    f"{where}: {path.name} is a Git LFS pointer, not the file: run `git lfs pull` where it "
                    "was cloned."
                )
        if configs == (OPEN_CLIP_CONFIG,):
            if (folder / OPEN_CLIP_WEIGHTS).is_file():
                return [folder / OPEN_CLIP_WEIGHTS]
            raise self.error(
                f"{where} is a model of open_clip without {OPEN_CLIP_WEIGHTS}; fetch it from the model's "
                "page (weights in .bin and .pt are pickles, which are not read)."
            )
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
        if pickles:
            raise self.error(
                f"{where} has only pickled weights ({pickles[0].name}). Loading a pickle can run any code, "
                f"so it is refused; convert them to {_WEIGHTS} with save_pretrained where you trust the file."
            )
        raise self.error(
            f"{where} has no {_WEIGHTS} (nor {_WEIGHTS_INDEX}); weights in safetensors are needed."
        )


BACKBONE = ModelKind(
    "SNAKE_BACKBONE",
    (CONFIG, PREPROCESSOR_CONFIG),
    (PROCESSOR_CONFIG, SEEN_FILE),
    BackboneError,
    "SNAKE_REVISION",
)


def backbone_names(setting: str) -> list[str]:
    """The backbones that SNAKE_BACKBONE names, with commas between; a folder with a comma in it is one.

    Raises:
        BackboneError: between two commas there is no name.
    """
    if Path(setting).expanduser().is_dir():
        return [setting]
    names = [name.strip() for name in setting.split(",")]
    if len(names) > 1 and not all(names):
        raise BackboneError(
            f"SNAKE_BACKBONE is {setting!r}, where a name is missing beside a comma: give the names of "
            "backbones with one comma between each two, or one name without any."
        )
    return names


def _of_adapter(folder: Path) -> str:
    try:
        base = json.loads((folder / _ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = "its base model"
    return (
        f"is an adapter (LoRA) over {base}, no model by itself: merge it into its base (merge_and_unload of "
        "peft, then save_pretrained of the model and of the base's image processor) and name that folder."
    )


def _of_file(path: Path) -> str:
    if path.suffix == ".safetensors":
        return f"it is a file; name the folder that holds it with its {CONFIG}."
    if path.suffix not in _PICKLES:
        return "it is a file; a folder that holds a model is needed."
    size = {"s": "small", "b": "base", "l": "large", "g": "giant"}
    meta = re.match(r"dinov2_vit([sblg])14(_reg4)?_pretrain", path.name)
    instead = "take the model in safetensors from its page on the Hugging Face hub."
    if meta:
        registers = "with-registers-" if meta[2] else ""
        instead = (
            f"the same weights in safetensors are facebook/dinov2-{registers}{size[meta[1]]} on the hub."
        )
    return f"{path.name} is a pickle. Loading a pickle can run any code, so it is refused; {instead}"


def _starts(path: Path, start: bytes) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(start)) == start


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{path.name}\0{content}\n".encode())
    return total.hexdigest()
