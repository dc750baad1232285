"""The settings of a detector of our own, as a resource (see settings.py)."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.backbone import Device
from snake_assets.defs.resources.settings import SettingError, setting
from snake_assets.storage.paths import local_root

if TYPE_CHECKING:
    from snake_assets.detection.finders.base import Finder
    from snake_assets.detection.starting import Start

# Of two boxes around one snake, one is to be learnt from.
LABELLER_IOU = 0.5


class DetectorTraining(dg.ConfigurableResource[None]):
    """What a detector of our own learns from, and what it starts from."""

    boxes: str | None = Field(
        default=None,
        description="A folder with images/ and labels/ (YOLO text: class cx cy w h, in shares of the photo), "
        "boxes that a person drew. Default: SNAKE_BOXES, else none, and nothing can be trained.",
    )
    start: str | None = Field(
        default=None,
        description="What the training starts from: a .pt file of a YOLO detector, a folder with one, or an "
        "architecture that ultralytics brings, such as yolov8n.yaml, untrained. Default: "
        "SNAKE_DETECTOR_START, else yolov8n.yaml.",
    )
    start_sha256: str | None = Field(
        default=None,
        description="SHA-256 that the weights to start from must have, 64 hex digits; others are refused "
        "before anything of them is loaded. Default: SNAKE_DETECTOR_START_SHA256, else no pin.",
    )
    labeller: str | None = Field(
        default=None,
        description="A folder of OWL-ViT or OWLv2, or a hub id that is in the hub's cache here, which draws "
        "boxes on photos of train to learn from too; never to judge by. Default: SNAKE_LABELLER, else none.",
    )
    labeller_sha256: str | None = Field(
        default=None,
        description="Digest that the labeller must have, 64 hex digits. Default: SNAKE_LABELLER_SHA256, else "
        "no pin.",
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
            raise SettingError(
                f"SNAKE_BOXES={folder} is not a folder: set it to one with images/ and labels/."
            )
        return folder

    def open_start(self, data: Path) -> "Start":
        """What the training starts from; nothing is loaded or fetched.

        Args:
            data: root of the raw data, inside of which pickled weights are refused.

        Raises:
            DetectionError: weights or an architecture that cannot be used.
        """
        from snake_assets.detection.starting import UNTRAINED, open_start

        named = setting(self.start, "SNAKE_DETECTOR_START", UNTRAINED)
        return open_start(named, setting(self.start_sha256, "SNAKE_DETECTOR_START_SHA256", "") or None, data)

    def open_labeller(self, least_score: float) -> "Finder | None":
        """What draws boxes on photos of train, whose model loads at first use; None where none is set.

        Args:
            least_score: finds of a lower score are left out, 0 to 1.

        Raises:
            DetectionError: the model cannot be used.
        """
        from snake_assets.detection.finders.hub_models import open_hub_model, owl
        from snake_assets.detection.finders.owlvit import OwlFinder

        named = setting(self.labeller, "SNAKE_LABELLER", "")
        if not named:
            return None
        pin = setting(self.labeller_sha256, "SNAKE_LABELLER_SHA256", "") or None
        files = open_hub_model(owl("SNAKE_LABELLER"), named, pin)
        return OwlFinder(files, device=self.resolved_device(), confidence=least_score, iou=LABELLER_IOU)

    def resolved_device(self) -> str:
        """The device that is there. Raises BackboneError for another."""
        from snake_assets.vision.backbone.devices import resolve_device

        return resolve_device(setting(self.device, "SNAKE_DEVICE", "auto"))
