"""Model folders that would run code, load pickles, read elsewhere, or fill the memory."""

import functools
import json
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.vision.backbone.backbone import load_backbone
from snake_assets.vision.errors import BackboneError
from snake_assets_tests.fuzz.classifier_seeds import classifier_seeds
from snake_assets_tests.hostile.case import CANARY, Case, refused

WEIGHTS, CONFIG = "model.safetensors", "config.json"
INDEX, PREPROCESSOR = f"{WEIGHTS}.index.json", "preprocessor_config.json"
Change = Callable[[Path], object]


class Payload:
    """Unpickled, it touches the canary."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f'touch "${CANARY}"',)


CODE = f"import os, pathlib\npathlib.Path(os.environ[{CANARY!r}]).touch()\n"


def changed(folder: Path, file: str, **values: Any) -> None:
    """Put values into a JSON file."""
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | values))


def pickled(folder: Path, name: str) -> None:
    """Pickled weights in the place of the others."""
    (folder / WEIGHTS).unlink()
    (folder / name).write_bytes(pickle.dumps(Payload()))


def indexed(folder: Path, name: str) -> None:
    """Weights that an index names."""
    names = list(_header(folder / WEIGHTS))
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes((folder / WEIGHTS).read_bytes() if "safetensors" in name else pickle.dumps(Payload()))
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, name)}))


def header_length(folder: Path, length: int) -> None:
    """A safetensors file that lies about the length of its header."""
    (folder / WEIGHTS).write_bytes(length.to_bytes(8, "little") + (folder / WEIGHTS).read_bytes()[8:])


def header_entry(folder: Path, **values: Any) -> None:
    """A safetensors file that lies about its first tensor."""
    data = (folder / WEIGHTS).read_bytes()
    header = _header(folder / WEIGHTS)
    header[next(iter(header))] |= values
    text = json.dumps(header).encode()
    body = data[8 + int.from_bytes(data[:8], "little") :]
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + body)


def _header(weights: Path) -> dict[str, Any]:
    data = weights.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def own_code(folder: Path) -> None:
    """Code of its own, named wherever transformers would look for it."""
    (folder / "evil.py").write_text(CODE)
    names = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Config", "AutoImageProcessor": "evil.Processor"}
    changed(folder, CONFIG, auto_map=names)
    changed(folder, PREPROCESSOR, auto_map=names)


@functools.cache
def good_files() -> dict[str, bytes]:
    """The demo's backbone."""
    with tempfile.TemporaryDirectory() as folder:
        build_demo_backbone(Path(folder) / "model")
        return {path.name: path.read_bytes() for path in (Path(folder) / "model").iterdir()}


def refusal(change: Change, *words: str) -> Callable[[Path], None]:
    """A model folder that must be refused, changed in this way."""

    def run(folder: Path) -> None:
        home = _laid(folder, change)
        refused(BackboneError, lambda: load_backbone(str(home), device="cpu"), *words)

    return run


def reading(change: Change) -> Callable[[Path], None]:
    """A model folder that must be loaded without what was put into it."""

    def run(folder: Path) -> None:
        assert load_backbone(str(_laid(folder, change)), device="cpu").model is not None

    return run


def _laid(folder: Path, change: Change) -> Path:
    home = folder / "model"
    home.mkdir()
    for name, data in good_files().items():
        (home / name).write_bytes(data)
    change(home)
    return home


def classifier(name: str, make: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A classifier one file of which was changed."""

    def run(folder: Path) -> None:
        for seed in classifier_seeds(folder / "seeds"):
            (folder / seed.name.rpartition("/")[2]).write_bytes(seed.data)
        (folder / name).write_bytes(make((folder / name).read_bytes()))
        refused(LearningError, lambda: SpeciesClassifier.load(folder), str(folder))

    return run


def _config(key: str, value: Any) -> Change:
    return lambda folder: changed(folder, CONFIG, **{key: value})


def _preprocessor(key: str, value: Any) -> Change:
    return lambda folder: changed(folder, PREPROCESSOR, **{key: value})


LYING = {
    "a header of 0 bytes": 0,
    "a header of 100 MB": 100_000_000,
    "a header of 2^63 bytes": 2**63,
}
CASES = [
    Case("as it should be", reading(lambda _: None)),
    *(
        Case(f"pickled weights {name}", refusal(lambda folder, n=name: pickled(folder, n), "safetensors"))
        for name in ("pytorch_model.bin", "model.pt", "model.pth", "tf_model.h5")
    ),
    Case(
        "pickle called safetensors", refusal(lambda folder: pickled(folder, WEIGHTS), WEIGHTS.split(".")[0])
    ),
    *(
        Case(f"index that names {name}", refusal(lambda folder, n=name: indexed(folder, n), "cannot be read"))
        for name in ("evil.bin", "evil.pt", "../evil.safetensors", "deep/evil.safetensors")
    ),
    Case("code of its own", reading(own_code)),
    Case("attention from the hub", refusal(_config("_attn_implementation", "some/kernel"), "elsewhere")),
    Case(
        "attention from the hub, other key",
        refusal(_config("attn_implementation", "some/kernel"), "elsewhere"),
    ),
    *(
        Case(
            f"config with {key} {value}",
            refusal(_config(key, value), "config.json" if "layers" in key else ""),
        )
        for key, value in {
            "num_hidden_layers": 100_000,
            "hidden_size": 10**6,
            "image_size": 10**9,
            "num_channels": 10**6,
            "patch_size": 0,
            "num_attention_heads": 0,
            "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
        }.items()
    ),
    Case("config of 20 MB", refusal(_config("x", "y" * 20_000_000), "config.json", "bytes")),
    Case("config nested 900 deep", refusal(_config("x", functools.reduce(lambda a, _: [a], range(900), 1)))),
    Case("no JSON", refusal(lambda folder: (folder / CONFIG).write_bytes(b"\xff" * 99))),
    Case(
        "photos of a million pixels a side",
        refusal(_preprocessor("crop_size", {"height": 10**6, "width": 10**6}), "1000000"),
    ),
    Case("photos of -5 pixels", refusal(_preprocessor("size", {"shortest_edge": -5}), "-5")),
    Case("division by a deviation of 0", refusal(_preprocessor("image_std", [0, 0, 0]), "image_std")),
    *(
        Case(f"safetensors with {name}", refusal(lambda folder, n=length: header_length(folder, n), "header"))
        for name, length in LYING.items()
    ),
    Case(
        "safetensors with a tensor of 10^18",
        refusal(lambda folder: header_entry(folder, shape=[10**9, 10**9]), "header"),
    ),
    Case(
        "safetensors with offsets behind its end",
        refusal(lambda folder: header_entry(folder, data_offsets=[0, 2**50]), "header"),
    ),
    Case("safetensors cut short", refusal(lambda folder: os.truncate(folder / WEIGHTS, 500), "header")),
    Case("classifier cut short", classifier(WEIGHTS, lambda data: data[:-4])),
    Case(
        "classifier with a lying header",
        classifier(WEIGHTS, lambda data: (2**40).to_bytes(8, "little") + data[8:]),
    ),
    Case("classifier as a pickle", classifier(WEIGHTS, lambda _: pickle.dumps(Payload()))),
    Case("classifier with no number", classifier(WEIGHTS, lambda data: data[:-4] + b"\xff" * 4)),
    *(
        Case(
            f"classifier.json with {new[:40]}",
            classifier("classifier.json", lambda data, o=old, n=new: data.replace(o.encode(), n.encode(), 1)),
        )
        for old, new in {
            '"temperature": 1.5': '"temperature": 0',
            "1.5": "NaN",
            "[3, 7, 12, 30]": "[7, 3, 12, 30]",
            "[3, 7": "[3, 99999999999",
            '"cls": 6': '"cls": 1000000000000',
            '"format"': '"x": 1, "format"',
            "{": "[" * 5000,
        }.items()
    ),
]
