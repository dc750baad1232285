"""Models of transformers: found without a network, the pinned ones alone, and nothing in a folder runs."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.hub_models import HubModel, open_hub_model, owl, sam
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets_tests.detection.finders.test_yolo_weights import Malice
from snake_assets_tests.detection.hub_folders import save_owl

OWL = owl("SNAKE_DETECTOR")
PHOTO = np.full((40, 60, 3), 90, np.uint8)


@pytest.fixture
def copied(owl_folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(owl_folders["owlv2"], tmp_path / "owl"))


def opened(folder: Path, **options: str) -> HubModel:
    return open_hub_model(OWL, str(folder), **options)


def test_a_folder_never_touches_the_network(copied: Path, no_network: None):
    assert OwlFinder(opened(copied)).find([PHOTO])[0]
    with pytest.raises(DetectionError, match=r"SNAKE_DETECTOR is '\./owl', but there is no such folder"):
        open_hub_model(OWL, "./owl")


def test_a_hub_id_is_taken_from_the_cache_and_never_fetched(
    copied: Path, tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
):
    cache, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    snapshot = cache / "models--some--owl" / "snapshots" / commit
    shutil.copytree(copied, snapshot)
    (cache / "models--some--owl" / "refs").mkdir()
    (cache / "models--some--owl" / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    found = open_hub_model(OWL, "some/owl")
    assert (found.folder, found.sha256) == (snapshot, opened(copied).sha256)
    with pytest.raises(DetectionError, match=r"Nothing is downloaded here: run `hf download some/other`"):
        open_hub_model(OWL, "some/other")


def test_the_pinned_digest_is_asked_for_before_anything_is_loaded(copied: Path):
    digest = opened(copied).sha256
    assert digest == OWL.files.digest(copied)
    assert opened(copied, pinned_sha256=digest.upper()).sha256 == digest
    (copied / "config.json").write_text("not even read {")
    with pytest.raises(DetectionError, match=f"not the pinned {digest}: nothing of it was loaded"):
        opened(copied, pinned_sha256=digest)


@pytest.mark.parametrize(
    "file", ["config.json", "preprocessor_config.json", "vocab.json", "merges.txt", "model.safetensors"]
)
def test_every_file_that_counts_is_in_the_digest_and_is_missed(copied: Path, file: str):
    model = opened(copied)
    (copied / "README.md").write_text("words")
    assert opened(copied) == model
    (copied / file).write_bytes((copied / file).read_bytes() + b"\n")
    assert opened(copied).sha256 != model.sha256
    with pytest.raises(DetectionError, match="has changed"):
        OwlFinder(model).find([PHOTO])
    (copied / file).unlink()
    with pytest.raises(DetectionError, match=file.replace(".", r"\.")):
        opened(copied)


def test_pickles_are_refused_and_do_not_run(copied: Path, tmp_path: Path):
    made = tmp_path / "made"
    (copied / "pytorch_model.bin").write_bytes(pickle.dumps(Malice(made)))
    assert OwlFinder(opened(copied)).find([PHOTO])[0]
    (copied / "model.safetensors").unlink()
    with pytest.raises(DetectionError, match=r"only pickled weights.*save_pretrained"):
        opened(copied)
    assert not made.exists()


def test_code_in_a_folder_is_not_run(copied: Path):
    """Neither of the model, nor of its image processor, tokenizer or processor."""
    ran = copied / "ran"
    (copied / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    for file, names in {
        "config.json": ["AutoConfig", "AutoModel", "AutoModelForZeroShotObjectDetection"],
        "preprocessor_config.json": ["AutoImageProcessor", "AutoProcessor"],
        "tokenizer_config.json": ["AutoTokenizer", "AutoProcessor"],
    }.items():
        told = json.loads((copied / file).read_text()) | {
            "auto_map": dict.fromkeys(names, "evil.Evil"),
            "processor_class": "Evil",
        }
        (copied / file).write_text(json.dumps(told))
    assert OwlFinder(opened(copied)).find([PHOTO])[0]
    assert not ran.exists()


def test_a_model_of_another_kind_is_refused_by_name(owl_folders: dict[str, Path], sam_folder: Path):
    with pytest.raises(DetectionError, match="of type 'owlv2'; SAM is wanted"):
        open_hub_model(sam("SNAKE_DETECTOR"), str(owl_folders["owlv2"]))
    with pytest.raises(DetectionError, match=r"SNAKE_PROMPTER.* has no tokenizer\.json nor vocab\.json"):
        open_hub_model(owl("SNAKE_PROMPTER"), str(sam_folder))


def test_a_folder_as_transformers_5_writes_it_finds_the_same(tmp_path: Path):
    published = save_owl(tmp_path / "published", "owlvit")
    before = OwlFinder(opened(published))
    written = Path(shutil.copytree(published, tmp_path / "written"))
    for file in ("preprocessor_config.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        (written / file).unlink()
    before.processor.save_pretrained(written)
    assert {"processor_config.json", "tokenizer.json"} <= {path.name for path in written.iterdir()}
    assert OwlFinder(opened(written)).find([PHOTO]) == before.find([PHOTO])
