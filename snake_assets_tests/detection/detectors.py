"""Detectors of the real architecture that are small, quick and know nothing."""

from collections.abc import Sequence
from pathlib import Path

import torch

from snake_assets.detection.finders.yolo_weights import quiet_ultralytics


def save_detector(path: Path, names: Sequence[str] = ("snake",), seed: int = 0) -> Path:
    """Untrained YOLOv8 weights a quarter as wide as yolov8n, in ultralytics' own format."""
    quiet_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    architecture = yaml_model_load("yolov8n.yaml")
    architecture["scales"]["n"] = [0.33, 0.0625, 256]
    torch.manual_seed(seed)
    model = DetectionModel(architecture, nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    model.task = "detect"
    torch.save({"model": model.half(), "train_args": {"task": "detect"}}, path)
    return path
