"""Snakes cut out along their outline: SAM (transformers), prompted by another finder's box."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.detection.finders.base import Finder, LazyModel, best_find, fitted
from snake_assets.detection.finders.hub_models import HubModel, failures_told
from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.crops import MOST_PIXELS_A_SIDE, mask_to_bytes
from snake_assets.vision.preprocessing.regions import Region


def region_of_mask(mask: NDArray[np.bool_], score: float, label: str) -> Region | None:
    """The tight box of a mask, with the mask; None where the mask is empty.

    Args:
        mask: bool [h, w] over the whole photo, both 1 to 1024.
        score: 0 to 1; what is beyond is cut.
        label: what it shows.
    """
    if not mask.any():
        return None
    height, width = mask.shape
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    x0, x1 = float(columns[0]) / width, (float(columns[-1]) + 1) / width
    y0, y1 = float(rows[0]) / height, (float(rows[-1]) + 1) / height
    return Region(x0, y0, x1, y1, min(1.0, max(0.0, score)), label, mask_to_bytes(mask))


@dataclass(frozen=True)
class SamFinder(LazyModel):
    """A `Finder` that asks SAM; its model loads at first use.

    Of the masks (three) that SAM gives for the prompter's best box, the one of the highest predicted IoU is
    kept; score and label stay the prompter's.

    Attributes:
        files: the model.
        prompter: finds the boxes.
        device: "cpu", "cuda" or "mps".
    """

    files: HubModel
    prompter: Finder
    device: str = "cpu"

    @cached_property
    def model(self) -> Any:
        """The model on the device. Raises DetectionError where the folder is refused."""
        from transformers import SamModel

        return self.files.load(SamModel, self.device)

    @cached_property
    def processor(self) -> Any:
        """What turns photos and boxes into the model's input, and its output into masks."""
        from transformers import SamImageProcessor, SamProcessor

        processor: Any = SamProcessor
        return processor(self.files.part(SamImageProcessor))

    @property
    def warning(self) -> str | None:
        """The prompter's."""
        return self.prompter.warning

    @property
    def longest_side(self) -> int:
        """SAM's side, or its prompter's where that is longer."""
        return max(int(self.processor.target_size), self.prompter.longest_side)

    def fingerprint_parts(self) -> dict[str, Json]:
        """What decides the finds besides the photos."""
        import transformers

        return {
            "finder": "sam",
            "weights": self.files.sha256,
            "transformers": transformers.__version__.split(".")[0],
            "prompter": dict(self.prompter.fingerprint_parts()),
        }

    def find(self, photos: Sequence[NDArray[np.uint8]]) -> list[list[Region]]:
        """See `Finder.find`. SAM sees photos one by one: one keeps any device busy."""
        prompts = [best_find(found) for found in self.prompter.find(photos)]
        return [
            self._prompted(self._seen(photo), prompt.region) if prompt.finds else []
            for photo, prompt in zip(photos, prompts, strict=True)
        ]

    def _seen(self, photo: NDArray[np.uint8]) -> Image.Image:
        # As a PIL image: of an array of 3 x 50 x 3 nobody can tell which side is the colours.
        return Image.fromarray(fitted(photo, min(int(self.processor.target_size), MOST_PIXELS_A_SIDE)))

    def _prompted(self, photo: Image.Image, prompt: Region) -> list[Region]:
        import torch

        width, height = photo.size
        box = [prompt.x0 * width, prompt.y0 * height, prompt.x1 * width, prompt.y1 * height]
        model, processor = self.model, self.processor
        with failures_told(self.files, self.device), torch.inference_mode():
            inputs = processor(photo, input_boxes=[[box]], return_tensors="pt")
            outputs = model(
                pixel_values=inputs["pixel_values"].to(self.device),
                input_boxes=inputs["input_boxes"].to(self.device, torch.float32),
            )
            best = outputs.iou_scores[0, 0].argmax()
            (masks,) = processor.post_process_masks(
                outputs.pred_masks[:, :, best, None], inputs["original_sizes"], inputs["reshaped_input_sizes"]
            )
        region = region_of_mask(masks[0, 0].cpu().numpy(), prompt.score, prompt.label)
        return [region] if region else []
