"""Snakes found by their name: OWL-ViT and OWLv2 (transformers)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snake_assets.detection.finders.base import DetectionError, LazyModel, fitted
from snake_assets.detection.finders.hub_models import HubModel, failures_told
from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import Region


@dataclass(frozen=True)
class OwlFinder(LazyModel):
    """A `Finder` that asks OWL-ViT or OWLv2; its model loads at first use.

    Attributes:
        files: the model.
        queries: what to look for, in words; a find is labelled with its query.
        device: "cpu", "cuda" or "mps".
        confidence: finds of a lower score are left out, 0 to 1.
        iou: of finds that overlap by more than this, the best is kept, 0 to 1: OWL has a find for each patch
            of the snake.
        most: finds per photo, at most.
    """

    files: HubModel
    queries: tuple[str, ...] = ("a photo of a snake",)
    device: str = "cpu"
    confidence: float = 0.1
    iou: float = 0.7
    most: int = 10

    @cached_property
    def model(self) -> Any:
        """The model on the device. Raises DetectionError where the folder is refused."""
        from transformers import AutoModelForZeroShotObjectDetection

        return self.files.load(AutoModelForZeroShotObjectDetection, self.device)

    @cached_property
    def processor(self) -> Any:
        """What turns photos and queries into the model's input, and its output into boxes."""
        import transformers

        prefix = {"owlvit": "OwlViT", "owlv2": "Owlv2"}[self.files.model_type]
        images = self.files.part(getattr(transformers, f"{prefix}ImageProcessor"))
        tokenizer = self.files.part(transformers.CLIPTokenizer)
        return getattr(transformers, f"{prefix}Processor")(images, tokenizer)

    @property
    def longest_side(self) -> int:
        """The model's side; twice that for OWL-ViT, which stretches the shorter side of a photo to it."""
        side = max(self.processor.image_processor.size.height, self.processor.image_processor.size.width)
        return int(side) * (2 if self.files.model_type == "owlvit" else 1)

    @property
    def warning(self) -> str | None:
        """None: it looks for the words that it is given."""
        return None

    def fingerprint_parts(self) -> dict[str, Json]:
        """What decides the finds besides the photos."""
        import transformers

        return {
            "finder": "owl",
            "weights": self.files.sha256,
            "queries": list(self.queries),
            "confidence": self.confidence,
            "iou": self.iou,
            "most": self.most,
            "transformers": transformers.__version__.split(".")[0],
        }

    def find(self, photos: Sequence[NDArray[np.uint8]]) -> list[list[Region]]:
        """See `Finder.find`. A photo's finds do not depend on the photos that it is asked together with."""
        # One photo keeps a processor busy, and is bit for bit the same in any company.
        at_once = len(photos) if self.device.startswith("cuda") else 1
        seen = [fitted(photo, self.longest_side) for photo in photos]
        finds: list[list[Region]] = []
        for start in range(0, len(seen), at_once or 1):
            finds += self._together(seen[start : start + at_once])
        return finds

    def _together(self, photos: list[NDArray[np.uint8]]) -> list[list[Region]]:
        import torch

        queries = [list(self.queries)] * len(photos)
        # As PIL images: of an array of 3 x 50 x 3 nobody can tell which side is the colours.
        images = [Image.fromarray(photo) for photo in photos]
        sizes = [photo.shape[:2] for photo in photos]
        model, processor = self.model, self.processor
        with failures_told(self.files, self.device), torch.inference_mode():
            # The text goes along each time: it takes 2 % of the time of OWL-ViT B/32, 0.2 % of OWLv2 B/16.
            most = model.config.text_config.max_position_embeddings
            inputs = processor(
                text=queries, images=images, padding="max_length", max_length=most, return_tensors="pt"
            )
            if (tokens := inputs["input_ids"].shape[1]) > most:
                raise DetectionError(
                    f"A query is too long: {self.files.name} reads {most} tokens, the longest of "
                    f"{self.queries} has {tokens}. Use fewer words."
                )
            found = processor.post_process_grounded_object_detection(
                model(**inputs.to(self.device)), self.confidence, sizes, queries
            )
        return [self._regions(one, size) for one, size in zip(found, sizes, strict=True)]

    def _regions(self, found: dict[str, Any], size: tuple[int, ...]) -> list[Region]:
        """Finds as regions of the photo of `size` (height, width), best first.

        Clipped to the photo; what lies in the padding beyond it is no find.
        """
        import torch
        from torchvision.ops import nms

        height, width = size
        sides = found["boxes"].float().cpu() / torch.tensor([width, height, width, height])
        scores = found["scores"].float().cpu()
        boxes = sides.clamp(0, 1)
        within = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).nonzero()[:, 0]
        best = within[nms(boxes[within], scores[within], self.iou)][: self.most].tolist()
        return [
            Region(x0, y0, x1, y1, score=float(scores[index]), label=found["text_labels"][index])
            for index, (x0, y0, x1, y1) in zip(best, boxes[best].tolist(), strict=True)
        ]
