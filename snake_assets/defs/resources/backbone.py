"""The backbone and what it runs on, as a resource (see settings.py)."""

from enum import StrEnum
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.settings import home, setting
from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.vision.preprocessing.transforms import View

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone


class Device(StrEnum):
    """What a backbone runs on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    """In which numbers a backbone computes."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class BackboneSetting(dg.ConfigurableResource[None]):
    """Which vision backbone turns photos into vectors, and on what it runs."""

    name: str | None = Field(
        default=None,
        description="A vision model: an id on the Hugging Face hub (such as facebook/dinov2-base), or a "
        "folder in the format of transformers, timm or open_clip; or several with commas between, whose "
        "vectors are put side by side. Default: SNAKE_BACKBONE, else the demo's tiny untrained DINOv2.",
    )
    revision: str | None = Field(
        default=None,
        description="Hub revision to pin (a commit or tag), of every backbone that is named by its id. Where "
        "several need one each, name their folders in the hub's cache. Default: SNAKE_REVISION, else none.",
    )
    device: Device | None = Field(
        default=None,
        description="What the backbone runs on: auto (CUDA or MPS where there is one), cpu, cuda or mps. "
        "Default: SNAKE_DEVICE, else auto.",
    )
    precision: Precision | None = Field(
        default=None,
        description="Numbers that the backbone computes in: auto (bf16 where the device has "
        "units for it), fp32, bf16 or fp16. Default: SNAKE_PRECISION, else auto.",
    )

    def open(self, view: View | None = None) -> "Backbone":
        """Find the backbone, whose model loads at first use; builds the demo's if nothing else is set."""
        from snake_assets.vision.backbone.backbone import open_backbone

        name = setting(self.name, "SNAKE_BACKBONE", "")
        if not name:
            demo = home() / "demo" / "backbone"
            build_demo_backbone(demo)
            name = str(demo)
        return open_backbone(
            name,
            revision=setting(self.revision, "SNAKE_REVISION", "") or None,
            device=setting(self.device, "SNAKE_DEVICE", "auto"),
            precision=setting(self.precision, "SNAKE_PRECISION", "auto"),
            view=view,
        )
