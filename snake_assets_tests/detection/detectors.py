"""Detectors of the real architecture that are small, quick and know nothing."""

from collections.abc import Sequence
from pathlib import Path

import torch

from snake_assets.detection.finders.yolo_weights import quiet_ultralytics


def save_detector(path: Path, names: Sequence[str] = ("snake",), seed: int = 0, task: str = "detect") -> Path:
    """Untrained YOLOv8 weights a quarter as wide as yolov8n, in ultralytics' own format."""
    quiet_ultralytics()
    from ultralytics.nn import tasks

    architecture = tasks.yaml_model_load("yolov8n-seg.yaml" if task == "segment" else "yolov8n.yaml")
    architecture["scales"]["n"] = [0.33, 0.0625, 256]
    torch.manual_seed(seed)
    kind = {"segment": tasks.SegmentationModel, "detect": tasks.DetectionModel, "pose": tasks.DetectionModel}
    model = kind[task](architecture, nc=len(names), verbose=False)
    for of_a_scale in model.model[-1].cv3:  # else the same class is the best everywhere
        torch.nn.init.normal_(of_a_scale[-1].weight)
    model.names = dict(enumerate(names))
    model.task = task
    torch.save({"model": model.half(), "train_args": {"task": task}}, path)
    return path
