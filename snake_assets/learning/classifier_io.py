"""The classifier as two files: model.safetensors holds the arrays, classifier.json everything to be read."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save_file

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.cross_validation.out_of_fold import Choice
from snake_assets.learning.decision.rules import DecisionRule
from snake_assets.learning.errors import LearningError
from snake_assets.learning.linear_head import LinearHead
from snake_assets.learning.neighbours import Neighbours
from snake_assets.learning.settings import BlockName, Positive, Recipe, Share
from snake_assets.storage.paths import AnyPath

MODEL_FILE, TEXT_FILE = "model.safetensors", "classifier.json"
FORMAT = 4
# Numbers beyond it are damage, and would overflow when they are multiplied.
LARGEST = 1e9

Finite = Annotated[float, Field(allow_inf_nan=False)]
ClassId = Annotated[int, Field(ge=0, lt=2**31)]


class _Standardisation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mean: list[Finite]
    scale: list[Positive]


class _Text(BaseModel):
    """The content of classifier.json. Floats are written so that they come back to the last bit."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[4] = 4
    backbone_fingerprint: str
    feature_names: dict[BlockName, Annotated[int, Field(ge=1)]]
    class_ids: Annotated[list[ClassId], Field(min_length=1)]
    venomous: list[bool] | None
    prior: list[Annotated[float, Field(ge=0, le=1)]]
    temperature: Positive
    neighbours_share: Share
    decision_rule: DecisionRule
    recipe: Recipe
    choice: Choice
    standardisation: _Standardisation


def write_classifier(classifier: SpeciesClassifier, folder: Path) -> None:
    """Write both files into the folder, which is made where it is missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    head, near = classifier.head, classifier.neighbours
    tensors = {"weight": head.weight, "bias": head.bias}
    tensors |= {f"neighbours.{name}": getattr(near, name) for name in ("mean", "axes", "vectors", "labels")}
    # safetensors writes the buffer as it lies, so only contiguous arrays come back as they were.
    contiguous = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    try:
        save_file(contiguous, folder / MODEL_FILE)
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise
    text = _Text(
        backbone_fingerprint=classifier.fingerprint,
        feature_names=classifier.features,
        class_ids=classifier.class_ids.tolist(),
        venomous=None if classifier.venomous is None else classifier.venomous.tolist(),
        prior=classifier.prior.tolist(),
        temperature=classifier.temperature,
        neighbours_share=classifier.share,
        decision_rule=classifier.rule,
        recipe=classifier.recipe,
        choice=classifier.choice,
        standardisation=_Standardisation(mean=head.mean.tolist(), scale=head.scale.tolist()),
    )
    # A line for each entry: long lists of numbers are no reading matter.
    content = text.model_dump(mode="json")
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    (folder / TEXT_FILE).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_classifier(folder: AnyPath, model_file: str = MODEL_FILE) -> SpeciesClassifier:
    """Read both files of a folder; `model_file` where the arrays have been given another name.

    Raises:
        LearningError: a file is missing or damaged, of an earlier version, or the two do not belong
            together.
    """
    text, model = _read_text(folder), folder / model_file
    with _reading(folder, model_file):
        tensors = load_file(model) if isinstance(model, Path) else load(model.read_bytes())
    if not _belong_together(text, tensors):
        found = {name: (str(values.dtype), values.shape) for name, values in tensors.items()}
        raise LearningError(
            f"{MODEL_FILE} and {TEXT_FILE} in {folder} do not belong together ({found} for "
            f"{sum(text.feature_names.values())} features and {len(text.class_ids)} species): train the "
            f"classifier again."
        )
    moments = text.standardisation
    mean, scale = (np.array(each, np.float32) for each in (moments.mean, moments.scale))
    near = {name.removeprefix("neighbours."): values for name, values in tensors.items() if "." in name}
    return SpeciesClassifier(
        class_ids=np.array(text.class_ids, dtype=np.int32),
        features=text.feature_names,
        head=LinearHead(mean, scale, tensors["weight"], tensors["bias"]),
        neighbours=Neighbours(**near, classes=len(text.class_ids)),
        share=text.neighbours_share,
        temperature=text.temperature,
        rule=text.decision_rule,
        prior=np.array(text.prior, dtype=np.float64),
        venomous=None if text.venomous is None else np.array(text.venomous, dtype=bool),
        fingerprint=text.backbone_fingerprint,
        recipe=text.recipe,
        choice=text.choice,
    )


def trained_on_features(folder: AnyPath) -> str:
    """The features that a stored classifier wants, as `reading.made_by` tells them; its arrays are not read.

    Raises:
        LearningError: as `read_classifier`.
    """
    return _read_text(folder).backbone_fingerprint


@contextmanager
def _reading(folder: AnyPath, name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise LearningError(
            f"{folder} holds no whole classifier ({name} is missing): materialize species_classifier first."
        ) from error
    except (SafetensorError, ValueError, RecursionError) as error:
        raise LearningError(f"The classifier in {folder} is damaged, train it again: {error}") from error


def _read_text(folder: AnyPath) -> _Text:
    with _reading(folder, TEXT_FILE):
        found = json.loads((folder / TEXT_FILE).read_text(encoding="utf-8"))
        number = found.get("format") if isinstance(found, dict) else None
        if not isinstance(number, int) or number == FORMAT:
            return _Text.model_validate(found)
    raise LearningError(
        f"The classifier in {folder} is of format {number}, this version reads format {FORMAT}: it was "
        "trained by another version of snake-assets. Materialize species_classifier again."
    )


def _belong_together(text: _Text, tensors: dict[str, Any]) -> bool:
    dims, classes = sum(text.feature_names.values()), len(text.class_ids)
    photos, columns = tensors.get("neighbours.vectors", np.empty((0, 0))).shape[:2] or (0, 0)
    wanted = {
        "weight": (np.float32, (dims, classes)),
        "bias": (np.float32, (classes,)),
        "neighbours.mean": (np.float32, (columns,)),
        "neighbours.axes": (np.float32, (columns, columns)),
        "neighbours.vectors": (np.float16, (photos, columns)),
        "neighbours.labels": (np.int32, (photos,)),
    }
    if {name: (values.dtype, values.shape) for name, values in tensors.items()} != wanted or not photos:
        return False
    labels = tensors["neighbours.labels"]
    return (
        {len(text.standardisation.mean), len(text.standardisation.scale)} == {dims}
        and len(text.prior) == classes
        and (text.decision_rule == "argmax" if text.venomous is None else len(text.venomous) == classes)
        and text.class_ids == sorted(set(text.class_ids))
        and any(text.prior)
        and bool(((labels >= 0) & (labels < classes)).all())
        # NaN and infinity are not within either.
        and all(float(np.abs(values).max(initial=0)) <= LARGEST for values in tensors.values())
    )
