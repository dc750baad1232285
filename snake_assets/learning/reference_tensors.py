"""References as tensors of model.safetensors, beside those of the head."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snake_assets.learning.blending import VoteChoice
from snake_assets.learning.fitting import LinearModel
from snake_assets.learning.references import References
from snake_assets.learning.standardisation import Standardisation

# Tensor name -> its axes: D columns of CLS, M references.
LABELS = "references.labels"
NAMES = {
    "references.mean": "D",
    "references.scale": "D",
    "references.axes": "DD",
    "references.vectors": "MD",
    LABELS: "M",
}

Tensors = Mapping[str, npt.NDArray[Any]]


def reference_tensors(references: References | None) -> dict[str, npt.NDArray[Any]]:
    """What to save, nothing for None. With nearest photos that is a vector for every training photo."""
    if references is None:
        return {}
    space = references.space
    parts = (
        space.standardisation.mean,
        space.standardisation.scale,
        space.weight,
        references.vectors,
        references.labels,
    )
    return dict(zip(NAMES, parts, strict=True))


def references_fit(tensors: Tensors, votes: VoteChoice, classes: int) -> bool:
    """Whether the tensors are those that this choice of votes asks for, and of shapes that fit together."""
    there = {name: tensor.shape for name, tensor in tensors.items() if name.startswith("references.")}
    if not votes.taken:
        return not there
    if there.keys() != NAMES.keys():
        return False
    size = {"D": there["references.mean"][0], "M": there[LABELS][0]}
    labels = tensors[LABELS]
    return (
        all(there[name] == tuple(size[axis] for axis in axes) for name, axes in NAMES.items())
        and size["M"] > 0
        and labels.dtype == np.int64
        and bool(((labels >= 0) & (labels < classes)).all())
    )


def references_of(tensors: Tensors, votes: VoteChoice, classes: int) -> References | None:
    """What `reference_tensors` saved, where the classifier is a blend."""
    if votes.blend is None or not votes.taken:
        return None
    mean, scale, axes, vectors, labels = (np.asarray(tensors[name]) for name in NAMES)
    space = LinearModel(Standardisation(mean, scale), axes, np.zeros(axes.shape[1], dtype=np.float32))
    return References(space, vectors, labels, classes, votes.blend.recipe)
