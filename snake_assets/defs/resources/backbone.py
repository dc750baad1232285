"""The backbone and what it runs on, as a resource (see settings.py)."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.settings import home, setting
from snake_assets.defs.resources.storage import Store
from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.storage.bundles import open_bundle
from snake_assets.vision.backbone.model_files import backbone_names
from snake_assets.vision.preprocessing.transforms import View

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone


# In SNAKE_BACKBONE, what the asset of the longer name left in the store.
FINETUNED, FINETUNED_BACKBONE = "finetuned", "finetuned_backbone"


def demo_backbone() -> Path:
    """Where the demo's backbone is built."""
    return home() / "demo" / "backbone"


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
        "folder in the format of transformers, timm or open_clip, or `finetuned` for what the job finetune "
        "left in the store; or several with commas between, whose vectors are put side by side. Default: "
        "SNAKE_BACKBONE, else the demo's tiny untrained DINOv2.",
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

    def names(self, store: Store) -> list[str]:
        """What is set, `finetuned` as its folder; without a setting, the demo's, which may yet be built.

        Raises:
            BackboneError: a name is missing beside a comma.
            StorageError: nothing was fine-tuned yet.
        """
        told = setting(self.name, "SNAKE_BACKBONE", "")
        names = backbone_names(told) if told else [str(demo_backbone())]
        if FINETUNED in names:
            open_bundle(store.folder(FINETUNED_BACKBONE))
        folder = str(store.local_folder(FINETUNED_BACKBONE)) if FINETUNED in names else ""
        return [folder if name == FINETUNED else name for name in names]

    def open(self, store: Store, view: View | None = None) -> "Backbone":
        """Find the backbone, whose model loads at first use; builds the demo's if nothing else is set.

        Raises:
            BackboneError: as `open_backbone`.
            StorageError: as `names`.
        """
        from snake_assets.vision.backbone.backbone import open_backbone

        names = self.names(store)
        if names == [str(demo_backbone())]:
            build_demo_backbone(demo_backbone())
        return open_backbone(
            names,
            revision=setting(self.revision, "SNAKE_REVISION", "") or None,
            device=setting(self.device, "SNAKE_DEVICE", "auto"),
            precision=setting(self.precision, "SNAKE_PRECISION", "auto"),
            view=view,
        )
