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
from snake_assets.vision.backbone.backbone import open_backbone
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


def laid(folder: Path, change: Change) -> Path:
    home = folder / "model"
    home.mkdir()
    for name, data in good_files().items():
        (home / name).write_bytes(data)
    change(home)
    return home


def bad(name: str, change: Change, *words: str) -> Case:
    """A model folder that must be refused, changed in this way."""

    def run(folder: Path) -> None:
        home = laid(folder, change)
        refused(BackboneError, lambda: open_backbone(str(home), device="cpu").model, *words)

    return Case(name, run)


def good(name: str, change: Change) -> Case:
    """A model folder that must be loaded without what was put into it."""

    def run(folder: Path) -> None:
        assert open_backbone(str(laid(folder, change)), device="cpu").model is not None

    return Case(name, run)


def bad_classifier(name: str, file: str, make: Callable[[bytes], bytes]) -> Case:
    """A classifier one file of which was changed."""

    def run(folder: Path) -> None:
        for seed in classifier_seeds(folder / "seeds"):
            (folder / seed.name.rpartition("/")[2]).write_bytes(seed.data)
        (folder / file).write_bytes(make((folder / file).read_bytes()))
        refused(LearningError, lambda: SpeciesClassifier.load(folder), str(folder))

    return Case(f"classifier: {name}", run)


def config(file: str, key: str, value: Any) -> Change:
    return lambda folder: changed(folder, file, **{key: value})


SIZES = {
    "num_hidden_layers": 100_000,
    "hidden_size": 10**6,
    "image_size": 10**9,
    "num_channels": 10**6,
    "patch_size": 0,
    "num_attention_heads": 0,
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
}
CLASSIFIER_TEXTS = {
    '"temperature": 1.5': '"temperature": 0',
    "1.5": "NaN",
    "[3, 7, 12, 30]": "[7, 3, 12, 30]",
    "[3, 7": "[3, 99999999999",
    '"cls": 6': '"cls": 1000000000000',
    '"format"': '"x": 1, "format"',
    "{": "[" * 5000,
}
PICKLES = ("pytorch_model.bin", "model.pt", "model.pth", "tf_model.h5")
INDEXED = ("evil.bin", "evil.pt", "../evil.safetensors", "deep/evil.safetensors")
SIDE = {"height": 10**6, "width": 10**6}
NESTED = functools.reduce(lambda inner, _: [inner], range(900), 1)

CASES = [
    good("as it should be", lambda _: None),
    *(bad(f"pickled weights {n}", lambda to, n=n: pickled(to, n), "safetensors") for n in PICKLES),
    bad("pickle called safetensors", lambda folder: pickled(folder, WEIGHTS), WEIGHTS.split(".")[0]),
    *(bad(f"index that names {n}", lambda to, n=n: indexed(to, n), "cannot be read") for n in INDEXED),
    good("code of its own", own_code),
    *(
        bad(f"{key} from the hub", config(CONFIG, key, "some/kernel"), "elsewhere")
        for key in ("_attn_implementation", "attn_implementation")
    ),
    *(
        bad(f"config with {key} {value}", config(CONFIG, key, value), CONFIG if "layers" in key else "")
        for key, value in SIZES.items()
    ),
    bad("config of 20 MB", config(CONFIG, "x", "y" * 20_000_000), CONFIG, "bytes"),
    bad("config nested 900 deep", config(CONFIG, "x", NESTED)),
    bad("no JSON", lambda folder: (folder / CONFIG).write_bytes(b"\xff" * 99)),
    bad("photos of a million pixels a side", config(PREPROCESSOR, "crop_size", SIDE), "1000000"),
    bad("photos of -5 pixels", config(PREPROCESSOR, "size", {"shortest_edge": -5}), "-5"),
    bad("division by a deviation of 0", config(PREPROCESSOR, "image_std", [0, 0, 0]), "image_std"),
    *(
        bad(f"safetensors with a header of {n} bytes", lambda to, n=n: header_length(to, n), "header")
        for n in (0, 100_000_000, 2**63)
    ),
    bad("tensor of 10^18", lambda folder: header_entry(folder, shape=[10**9, 10**9]), "header"),
    bad("offsets behind its end", lambda to: header_entry(to, data_offsets=[0, 2**50]), "header"),
    bad("safetensors cut short", lambda folder: os.truncate(folder / WEIGHTS, 500), "header"),
    bad_classifier("cut short", WEIGHTS, lambda data: data[:-4]),
    bad_classifier("a lying header", WEIGHTS, lambda data: (2**40).to_bytes(8, "little") + data[8:]),
    bad_classifier("a pickle", WEIGHTS, lambda _: pickle.dumps(Payload())),
    bad_classifier("no number", WEIGHTS, lambda data: data[:-4] + b"\xff" * 4),
    *(
        bad_classifier(
            new[:40], "classifier.json", lambda d, o=old, n=new: d.replace(o.encode(), n.encode(), 1)
        )
        for old, new in CLASSIFIER_TEXTS.items()
    ),
]
