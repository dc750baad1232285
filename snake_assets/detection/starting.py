"""What a training starts from: weights that are there, or an architecture that has never seen a photo."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.yolo_weights import (
    Weights,
    load_detector,
    open_weights,
    quiet_ultralytics,
)
from snake_assets.storage.fingerprints import Json

UNTRAINED = "yolov8n.yaml"


@dataclass(frozen=True)
class Start:
    """The start of a training: `weights`, or else the architecture of that name.

    Attributes:
        weights: a detector's file; its layers are kept wherever their shapes fit one class.
        architecture: name of a file that ultralytics brings, such as yolov8n.yaml.
    """

    weights: Weights | None = None
    architecture: str = UNTRAINED

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.weights.path.name if self.weights else f"{self.architecture} (untrained)"

    def fingerprint_parts(self) -> dict[str, Json]:
        """What decides the start."""
        return {"weights": self.weights.sha256} if self.weights else {"architecture": self.architecture}

    def open(self) -> tuple[dict[str, Any], Any]:
        """The architecture as ultralytics describes it, and the model to take weights from, or None.

        Raises:
            DetectionError: weights that are refused.
        """
        if self.weights:
            model = load_detector(self.weights)
            return model.yaml, model
        quiet_ultralytics()
        from ultralytics.nn.tasks import yaml_model_load

        return yaml_model_load(_shipped(self.architecture)), None


def open_start(named: str, pinned_sha256: str | None = None, data_root: Path | None = None) -> Start:
    """The start that a setting names; nothing is loaded or fetched.

    Args:
        named: a `.pt` file, a folder with one, or the name of an architecture such as yolov8n.yaml.
        pinned_sha256: the digest that weights must have, as hex; None for no pin.
        data_root: root of the raw data, inside of which weights are refused.

    Raises:
        DetectionError: what `open_weights` refuses; an architecture that ultralytics does not bring.
    """
    if not named.endswith((".yaml", ".yml")):
        return Start(open_weights(named, pinned_sha256, data_root))
    if pinned_sha256:
        raise DetectionError(
            f"SNAKE_DETECTOR_START_SHA256 pins weights, but SNAKE_DETECTOR_START={named} is an architecture: "
            "unset one of both."
        )
    _shipped(named)
    return Start(architecture=named)


def _shipped(named: str) -> Path:
    """The architecture's file in ultralytics' own folder, under the name that also tells the model's scale.

    A file of the user's is not taken: a description can name code to run.
    """
    quiet_ultralytics()
    from ultralytics.utils import ROOT

    models = Path(ROOT) / "cfg" / "models"
    # One file describes all scales: yolov8n.yaml is yolov8.yaml at scale n.
    unscaled = re.sub(r"(\d+)[nslmx](.*)$", r"\1\2", named)
    found = next((file for file in models.glob("*/*.yaml") if file.name in (named, unscaled)), None)
    if found is None:
        raise DetectionError(
            f"SNAKE_DETECTOR_START={named} is no architecture that ultralytics brings: name one, such as "
            f"{UNTRAINED}, or a .pt file of weights."
        )
    return found.with_name(named)
