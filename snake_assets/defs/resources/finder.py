"""The settings of what finds snakes in photos, and of the training of a finder (see settings.py)."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.backbone import Device
from snake_assets.defs.resources.settings import SettingError, choice, setting
from snake_assets.storage.paths import local_root

if TYPE_CHECKING:
    from snake_assets.detection.finders.base import Finder, FinderTuning


class CropMode(StrEnum):
    """What finds the snake that photos are cropped to."""

    none = "none"
    yolo = "yolo"
    owlvit = "owlvit"
    sam = "sam"


class Crops(dg.ConfigurableResource[None]):
    """Whether photos are also seen cropped to the snake, and what finds it."""

    mode: CropMode | None = Field(
        default=None,
        description="none; yolo (a YOLO detector), owlvit (OWL-ViT or OWLv2, by words) or sam (its masks). "
        "Default: SNAKE_CROPS, else none.",
    )
    detector: str | None = Field(
        default=None,
        description="Weights of the finder: for yolo a .pt file, or a folder with one; for owlvit and sam a "
        "folder in Hugging Face format, or a hub id that is in the hub's cache here. Default: "
        "SNAKE_DETECTOR, else none.",
    )
    detector_sha256: str | None = Field(
        default=None,
        description="SHA-256 that the weights must have, 64 hex digits; others are refused before anything "
        "of them is loaded. Default: no pin.",
    )
    detector_in_data: bool = Field(
        default=False,
        description="Whether weights that are pickles (.pt), which can run code, may lie inside the raw "
        "data. Default: they are refused.",
    )
    prompter: str | None = Field(
        default=None,
        description="For sam, which needs it: what finds the box that it cuts the snake out of: a YOLO .pt "
        "file, or a folder with OWL-ViT. Default: SNAKE_PROMPTER, else none.",
    )
    prompter_sha256: str | None = Field(
        default=None,
        description="SHA-256 that the prompter must have, 64 hex digits. Default: no pin.",
    )
    device: Device | None = Field(
        default=None,
        description="What the finder runs on: auto, cpu, cuda or mps. Default: SNAKE_DEVICE, else auto.",
    )

    def checked(self) -> CropMode:
        """The mode. Raises SettingError for what is no mode."""
        return CropMode(choice(setting(self.mode, "SNAKE_CROPS", "none"), "SNAKE_CROPS", tuple(CropMode)))

    def open(self, data: Path, tuning: "FinderTuning") -> "Finder":
        """The finder, whose model loads at first use.

        Args:
            data: root of the raw data, inside of which pickled weights are refused unless `detector_in_data`.
            tuning: which finds count.

        Raises:
            SettingError: no such mode.
            DetectionError: the mode is none, no weights are named, or they cannot be used.
        """
        from snake_assets.detection.detect import open_finder

        return open_finder(
            self.checked(),
            setting(self.detector, "SNAKE_DETECTOR", "") or None,
            pinned_sha256=self.detector_sha256,
            prompter=setting(self.prompter, "SNAKE_PROMPTER", "") or None,
            prompter_sha256=self.prompter_sha256,
            device=setting(self.device, "SNAKE_DEVICE", "auto"),
            tuning=tuning,
            data_root=None if self.detector_in_data else data,
        )


class DetectorTraining(dg.ConfigurableResource[None]):
    """What a detector of our own learns from, and where."""

    boxes: str | None = Field(
        default=None,
        description="A folder with photos and boxes that a person drew: YOLO text, COCO JSON, Pascal VOC or "
        "CVAT XML. Default: SNAKE_BOXES, else none, and nothing can be trained.",
    )
    device: Device | None = Field(
        default=None,
        description="What the training runs on: auto, cpu, cuda or mps. Default: SNAKE_DEVICE, else auto.",
    )

    def boxes_folder(self) -> Path | None:
        """The folder of photos with boxes; None where none is set. Raises SettingError where it is none."""
        named = setting(self.boxes, "SNAKE_BOXES", "")
        if not named:
            return None
        folder = local_root(named, "SNAKE_BOXES")
        if not folder.is_dir():
            raise SettingError(f"SNAKE_BOXES={folder} is not a folder: set it to one with photos and boxes.")
        return folder

    def resolved_device(self) -> str:
        """The device that is there. Raises BackboneError for another."""
        from snake_assets.vision.backbone.encoder import resolve_device

        return resolve_device(setting(self.device, "SNAKE_DEVICE", "auto"))
