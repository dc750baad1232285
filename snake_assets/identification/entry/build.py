"""Building an entry: the backbone, the classifier and the script as one flat folder.

script.py                  run by the competition
config.json, *.safetensors the backbone, its position embeddings at the size that photos are seen in
classifier.safetensors     head, training photos' vectors and species
entry.json                 what is no array: preprocessing, layers, temperatures
SnakeCLEF2024-TestMetadata.csv, README.md
"""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

from snake_assets.identification.identify import IdentificationError
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.rules import expected_losses, safest_class
from snake_assets.learning.feature_table import CLS, EARLIER_CLS, MIDDLE_MEAN, PATCH_MEAN
from snake_assets.learning.neighbours import NEIGHBOURS, TEMPERATURE
from snake_assets.vision.backbone.encoder import quiet_transformers

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

SCRIPT = Path(__file__).with_name("script.py")
CLASSIFIER, ENTRY, METADATA = "classifier.safetensors", "entry.json", "SnakeCLEF2024-TestMetadata.csv"
BLOCKS = (CLS, PATCH_MEAN, EARLIER_CLS, MIDDLE_MEAN)
# Of bf16, over a whole model; another layer or token is off by far more.
ROUNDING = 0.05

README = """# Snakes: an entry to SnakeCLEF 2024

`script.py` reads the photos of `/tmp/data/private_testset.zip`, or of the folder of that name, and writes
`submission.csv` into the working folder. It needs no network; Python 3.10, torch, transformers 4.37 or later,
numpy, pillow and safetensors are enough.

The backbone is {backbone}, frozen. A linear head on {blocks} and the votes of the nearest of {photos:,}
training photos name one of {species:,} species; the photos of an observation are answered together.
"""


def write_entry(
    classifier: SpeciesClassifier,
    backbone: Backbone,
    metadata: Path | None,
    folder: Path,
) -> None:
    """Write an entry into an existing folder.

    Args:
        classifier: that answers.
        backbone: that its features are of, looking at photos as it did for them.
        metadata: of the test set; None leaves it to the runner's data folder.
        folder: empty.

    Raises:
        IdentificationError: the classifier looks at what script.py cannot compute, or the script sees another
            thing in a photo than the backbone does here.
        BackboneError: the backbone cannot be loaded.
    """
    if backbone.beside:
        raise IdentificationError(
            f"The classifier looks with {' and '.join(part.name for part in backbone.parts)}, an entry with "
            "one backbone: set SNAKE_BACKBONE to one of them, and run the job snakeclef again."
        )
    blocks = list(dict.fromkeys([*classifier.features, CLS]))
    if others := [name for name in blocks if name not in BLOCKS]:
        raise IdentificationError(
            f"The classifier looks at {', '.join(others)}, an entry only at {', '.join(BLOCKS)} of whole "
            "photos: set SNAKE_CROPS=none, take the others out of `blocks`, and run train and predict again."
        )
    if backbone.layout.sources() or not hasattr(backbone.model, "save_pretrained"):
        raise _not_of_use(backbone, "its tokens or its files are of another kind")
    loading = _save_backbone(backbone, folder)
    save_file(_arrays(classifier, backbone.hidden_size * len(blocks)), folder / CLASSIFIER)
    about = {
        "blocks": blocks,
        "hidden_size": backbone.hidden_size,
        "prefix_tokens": backbone.layout.prefix,
        "layers": {"earlier": backbone.layout.earlier, "middle": backbone.layout.middle},
        "preprocessing": backbone.preprocessing.as_dict(),
        "precision": backbone.precision,
        "loading": loading,
        "temperature": classifier.temperature,
        "neighbours": {"k": NEIGHBOURS, "temperature": TEMPERATURE},
        "share": classifier.share,
        "safest": safest_class(classifier.prior, classifier.class_ids, classifier.venomous),
    }
    (folder / ENTRY).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(SCRIPT, folder / SCRIPT.name)
    _refuse_another_sight(backbone, about, folder / SCRIPT.name)
    if metadata is not None:
        shutil.copyfile(metadata, folder / METADATA)
    text = README.format(
        backbone=backbone.name,
        blocks=", ".join(classifier.features),
        photos=len(classifier.neighbours.labels),
        species=len(classifier.class_ids),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _save_backbone(backbone: Backbone, folder: Path) -> dict[str, Any]:
    """Write the model as it computes here, and give what loading it takes.

    Its position embeddings are interpolated already: versions of transformers do that differently.
    """
    model: Any = backbone.model
    height, width = backbone.preprocessing.input_size
    if height == width:
        model.config.image_size = height
    with quiet_transformers():
        model.save_pretrained(folder)
    takes_pooler = "add_pooling_layer" in inspect.signature(type(model)).parameters
    return {"add_pooling_layer": False} if takes_pooler else {}


def _refuse_another_sight(backbone: Backbone, about: Mapping[str, Any], script: Path) -> None:
    """Hold what the entry's script sees in a photo of noise against what the backbone sees here."""
    import torch

    from snake_assets.vision.backbone.features import launch

    photo = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    seen = launch(backbone, torch.from_numpy(backbone.preprocessing.resized(photo)[None])).features()
    expected = np.stack([getattr(seen, name)[0] for name in about["blocks"]])
    spec = spec_from_file_location("competition_entry_script", script)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        pixels = module.resized(photo, about["preprocessing"])
        model = module.load_backbone(about, backbone.device)
        found = module.features_of(pixels[None], model, about).numpy().reshape(expected.shape)
        off = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
        fault = "" if off.max() <= ROUNDING else "it sees other features in a photo than the embeddings hold"
    except Exception as error:  # whatever another kind of model raises where it is taken for one of these
        fault = repr(error)
    finally:
        del sys.modules[spec.name]
    if fault:
        raise _not_of_use(backbone, fault)


def _not_of_use(backbone: Backbone, fault: str) -> IdentificationError:
    return IdentificationError(
        f"{SCRIPT.name} cannot use the backbone {backbone.name} ({fault}): take one with a CLS token, "
        "such as DINOv2 or ViT, and run features, train and predict again."
    )


def _arrays(classifier: SpeciesClassifier, columns: int) -> dict[str, np.ndarray[Any, Any]]:
    head, near = classifier.head, classifier.neighbours
    # The CLS token comes last where only the neighbours look at it: the head has no weights for it.
    missing = columns - len(head.mean)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "mean": np.pad(head.mean, (0, missing)),
        "scale": np.pad(head.scale, (0, missing), constant_values=1),
        "weight": np.pad(head.weight, ((0, missing), (0, 0))),
        "bias": head.bias,
        "neighbours.mean": near.mean,
        "neighbours.axes": near.axes,
        "neighbours.vectors": near.vectors,
        "neighbours.labels": near.labels,
        "class_ids": classifier.class_ids,
    }
    # Expected costs are linear in the probabilities: those of certain truths are all that is needed.
    certain = np.eye(len(classifier.class_ids))
    if classifier.rule != "argmax":
        arrays["costs"] = expected_losses(classifier.rule, certain, classifier.venomous, classifier.prior)
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}
