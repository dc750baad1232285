"""The classifier as two files: model.safetensors holds the head, classifier.json everything to be read."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save_file

from snake_assets.learning.decisions import DecisionRule
from snake_assets.learning.errors import LearningError
from snake_assets.learning.fitting import LinearModel
from snake_assets.learning.location import LocationPrior
from snake_assets.learning.observations import Pooling
from snake_assets.learning.reference_tensors import (
    LABELS,
    Tensors,
    reference_tensors,
    references_fit,
    references_of,
)
from snake_assets.learning.refinement import Selection
from snake_assets.learning.settings import BlockName, Positive, TrainingSettings, Whole
from snake_assets.learning.standardisation import Standardisation
from snake_assets.storage.paths import AnyPath

if TYPE_CHECKING:
    from snake_assets.learning.classifier import SpeciesClassifier

MODEL_FILE, TEXT_FILE = "model.safetensors", "classifier.json"

Finite = Annotated[float, Field(allow_inf_nan=False)]
ClassId = Annotated[int, Field(ge=0, lt=2**31)]
Probability = Annotated[float, Field(ge=0, le=1)]


class StandardisationText(BaseModel):
    """Mean and scale of each feature column."""

    model_config = ConfigDict(extra="forbid")

    mean: list[Finite]
    scale: list[Positive]


class ClassifierText(BaseModel):
    """The content of classifier.json. Floats are written so that they come back to the last bit."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[2] = 2
    backbone_fingerprint: str
    feature_names: dict[BlockName, Whole]
    class_ids: Annotated[list[ClassId], Field(min_length=1)]
    venomous: list[bool]
    prior: list[Probability]
    temperature: Positive
    pooling: Pooling
    decision_rule: DecisionRule
    training_settings: TrainingSettings
    selection: Selection
    location: LocationPrior | None
    standardisation: StandardisationText


def write_classifier(classifier: "SpeciesClassifier", folder: Path) -> None:
    """Write both files into the folder, which is made where it is missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    model = classifier.model
    # safetensors writes the buffer as it lies, so only contiguous arrays come back as they were.
    tensors = {"weight": model.weight, "bias": model.bias, **reference_tensors(classifier.references)}
    try:
        save_file(
            {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / MODEL_FILE
        )
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
        raise
    text = ClassifierText.model_validate(
        {
            "backbone_fingerprint": classifier.fingerprint,
            "feature_names": classifier.features,
            "class_ids": classifier.class_ids.tolist(),
            "venomous": classifier.venomous.tolist(),
            "prior": classifier.prior.tolist(),
            "temperature": classifier.temperature,
            "pooling": classifier.pooling,
            "decision_rule": classifier.rule,
            "training_settings": classifier.settings,
            "selection": classifier.selection,
            "location": classifier.location,
            "standardisation": {
                "mean": model.standardisation.mean.tolist(),
                "scale": model.standardisation.scale.tolist(),
            },
        }
    )
    (folder / TEXT_FILE).write_text(_lines(text.model_dump(mode="json")) + "\n", encoding="utf-8")


def read_classifier(folder: AnyPath) -> "SpeciesClassifier":
    """Read both files of a folder; errors as `SpeciesClassifier.load`."""
    from snake_assets.learning.classifier import SpeciesClassifier

    try:
        text = ClassifierText.model_validate_json((folder / TEXT_FILE).read_text(encoding="utf-8"))
        model = folder / MODEL_FILE
        tensors = load_file(model) if isinstance(model, Path) else load(model.read_bytes())
    except FileNotFoundError as error:
        raise LearningError(
            f"{folder} holds no whole classifier ({Path(error.filename or '').name} is missing): "
            f"materialize species_classifier first."
        ) from error
    except (ValidationError, SafetensorError, UnicodeDecodeError) as error:
        raise LearningError(f"The classifier in {folder} is damaged, train it again: {error}") from error
    dims, classes = sum(text.feature_names.values()), len(text.class_ids)
    head = {name: tensors[name] for name in ("weight", "bias") if name in tensors}
    found = {name: tensor.shape for name, tensor in head.items()}
    lengths = {len(text.standardisation.mean), len(text.standardisation.scale)}
    if (
        found != {"weight": (dims, classes), "bias": (classes,)}
        or lengths != {dims}
        or {len(text.venomous), len(text.prior)} != {classes}
        or (text.location is not None and len(text.location.code_counts) != classes)
        or text.class_ids != sorted(set(text.class_ids))
        or not references_fit(tensors, text.selection.votes, classes)
        or not _all_finite(tensors)
    ):
        raise LearningError(
            f"{MODEL_FILE} and {TEXT_FILE} in {folder} do not belong together ({found} for {dims} features "
            f"and {classes} species): train the classifier again."
        )
    return SpeciesClassifier(
        class_ids=np.array(text.class_ids, dtype=np.int32),
        features={str(name): columns for name, columns in text.feature_names.items()},
        model=LinearModel(
            Standardisation(
                np.array(text.standardisation.mean, dtype=np.float32),
                np.array(text.standardisation.scale, dtype=np.float32),
            ),
            tensors["weight"],
            tensors["bias"],
        ),
        temperature=text.temperature,
        pooling=text.pooling,
        rule=text.decision_rule,
        prior=np.array(text.prior, dtype=np.float64),
        venomous=np.array(text.venomous, dtype=bool),
        fingerprint=text.backbone_fingerprint,
        settings=text.training_settings,
        selection=text.selection,
        references=references_of(tensors, text.selection.votes, classes),
        location=text.location,
    )


def _all_finite(tensors: Tensors) -> bool:
    return all(
        tensor.dtype == np.float32 and bool(np.isfinite(tensor).all())
        for name, tensor in tensors.items()
        if name != LABELS
    )


def _lines(content: object, indent: int = 0) -> str:
    # JSON with a line per entry, but lists of numbers and table rows on one line each.
    inner = " " * (indent + 2)
    if isinstance(content, dict) and indent < 4:
        entries = [f"{json.dumps(key)}: {_lines(value, indent + 2)}" for key, value in content.items()]
        return "{\n" + ",\n".join(inner + entry for entry in entries) + "\n" + " " * indent + "}"
    if isinstance(content, list) and any(isinstance(entry, dict) for entry in content):
        rows = [inner + json.dumps(entry, allow_nan=False) for entry in content]
        return "[\n" + ",\n".join(rows) + "\n" + " " * indent + "]"
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
