"""Snakes found by a YOLO detector (ultralytics)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snake_assets.detection.finders.base import DetectionError, LazyModel
from snake_assets.detection.finders.yolo_weights import Weights, load_yolo, quiet_ultralytics
from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import Region

STRIDE = 32
# ultralytics gives up after seconds that depend on how busy the machine is, and leaves photos without finds.
NO_TIME_LIMIT = 1e9
# Of a detector that knows several classes, those make a crop that are named so: a snake, else any animal.
MAY_BE_SNAKES = ("snake", "animal")

Size = tuple[int, ...]


def trained_size(weights: Weights) -> int:
    """The longer side that a detector's photos had in its training, in pixels: a multiple of 32.

    It knows snakes of the size that it has seen: at twice that, it finds half of them.

    Raises:
        DetectionError: weights that are refused.
    """
    told = load_yolo(weights).model.args.get("imgsz", YoloFinder.image_size)
    longest = int(max(told) if isinstance(told, list | tuple) else told)
    return -(-longest // STRIDE) * STRIDE


@dataclass(frozen=True)
class YoloFinder(LazyModel):
    """A `Finder` that asks a YOLO detector; its model loads at first use.

    Attributes:
        weights: the detector's file.
        device: "cpu", "cuda" or "mps".
        confidence: finds of a lower score are left out, 0 to 1.
        iou: of finds that overlap by more than this, the best is kept, 0 to 1.
        image_size: the longer side that photos are scaled to, pixels; a multiple of 32.
        most: finds per photo, at most.
        classes: names of the classes that count; none: the only one, or those named after `MAY_BE_SNAKES`.
    """

    weights: Weights
    device: str = "cpu"
    confidence: float = 0.25
    iou: float = 0.7
    image_size: int = 640
    most: int = 10
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image_size < STRIDE or self.image_size % STRIDE:
            raise DetectionError(f"The image size is {self.image_size}: choose a multiple of {STRIDE}.")

    @cached_property
    def model(self) -> Any:
        """The fused DetectionModel on the device. Raises DetectionError where the weights are refused."""
        import torch

        model = load_yolo(self.weights).model.fuse(verbose=False).eval()
        return model.to(self.device, memory_format=torch.channels_last)

    @property
    def longest_side(self) -> int:
        """`image_size`: the letterbox takes no more."""
        return self.image_size

    @property
    def class_names(self) -> dict[int, str]:
        """What the detector can tell apart, by class."""
        return {int(number): str(name) for number, name in self.model.names.items()}

    @cached_property
    def counted(self) -> list[int]:
        """The classes whose finds count; none where none can be a snake.

        Raises:
            DetectionError: the detector has not a class that `classes` names.
        """
        names = self.class_names
        if self.classes:
            if unknown := sorted(set(self.classes) - set(names.values())):
                raise DetectionError(
                    f"{self.weights.path.name} has no class {unknown[0]!r}: set classes of yolo_crops to "
                    f"some of {', '.join(names.values())}."
                )
            return [number for number, name in names.items() if name in self.classes]
        if len(names) == 1:
            return list(names)
        named = ([n for n, name in names.items() if word in name.lower()] for word in MAY_BE_SNAKES)
        return next(filter(None, named), [])

    @property
    def warning(self) -> str | None:
        """What is wrong with the weights although they can be used; None where nothing is."""
        counted = [self.class_names[number].lower() for number in self.counted]
        if self.classes or any(word in name for name in counted for word in MAY_BE_SNAKES):
            return None
        few = ", ".join(list(self.class_names.values())[:4])
        made = "what it finds may be anything but the snake" if counted else "no photo is cropped"
        return (
            f"{self.weights.path.name} knows no snakes: none of its {len(self.class_names)} classes ({few}, "
            f"…) is named so, and {made}. Train a detector on boxes of snakes (SNAKE_BOXES, job `detector`) "
            "and set SNAKE_DETECTOR to it, name the classes that are snakes (`classes` of yolo_crops), or "
            "set SNAKE_CROPS=owlvit, which takes the word."
        )

    def fingerprint_parts(self) -> dict[str, Json]:
        """What decides the finds besides the photos."""
        return {
            "finder": "yolo",
            "weights": self.weights.sha256,
            "image_size": self.image_size,
            "confidence": self.confidence,
            "iou": self.iou,
            "most": self.most,
            "classes": sorted(self.classes),
            "ultralytics": quiet_ultralytics().split(".")[0],
        }

    def find(self, photos: Sequence[NDArray[np.uint8]]) -> list[list[Region]]:
        """See `Finder.find`. A photo's finds do not depend on the photos that it is asked together with."""
        finds: list[list[Region]] = [[] for _ in photos]
        if not self.counted:
            return finds
        by_shape: dict[Size, list[int]] = defaultdict(list)
        boxed = [self.letterboxed(photo) for photo in photos]
        for index, pixels in enumerate(boxed):
            by_shape[pixels.shape].append(index)
        for indexes in by_shape.values():
            rows = self._finds_in_pixels(np.stack([boxed[index] for index in indexes]))
            for index, found in zip(indexes, rows, strict=True):
                finds[index] = self._regions(found, boxed[index].shape[:2], photos[index].shape[:2])
        return finds

    def letterboxed(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The photo scaled to `image_size` and padded with grey to the next multiple of the stride."""
        quiet_ultralytics()
        from ultralytics.data.augment import LetterBox

        size = (self.image_size, self.image_size)
        scaled: NDArray[np.uint8] = LetterBox(size, auto=True, stride=STRIDE)(image=photo)
        return scaled

    def pixel_values(self, batch: NDArray[np.uint8]) -> Any:
        """What the model takes, a tensor [B, 3, h, w] of 0 to 1 on its device, of uint8 [B, h, w, 3]."""
        import torch

        # It takes RGB; ultralytics' own loaders read BGR and turn it, ours read RGB. A pixel's channels stay
        # side by side, as photos come: on a processor the convolutions are then half as fast again.
        pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
        return pixels.to(torch.float32, memory_format=torch.channels_last).div_(255)

    def _finds_in_pixels(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """float32 [n, 6] of each of uint8 [B, h, w, 3]: x0 y0 x1 y1 in pixels of the batch, score, class."""
        import torch
        from ultralytics.utils.nms import non_max_suppression

        try:
            with torch.inference_mode():
                seen = self.model(self.pixel_values(batch))
                while isinstance(seen, list | tuple):  # raw predictions come along, and outlines
                    seen = seen[0]
                found = non_max_suppression(
                    seen,
                    self.confidence,
                    self.iou,
                    classes=self.counted,
                    agnostic=True,
                    max_det=self.most,
                    nc=len(self.model.names),
                    max_time_img=NO_TIME_LIMIT,
                    end2end=getattr(self.model, "end2end", False),
                )
        except (RuntimeError, MemoryError) as error:
            raise DetectionError(
                f"The detector failed on {len(batch)} photos of {batch.shape[2]}x{batch.shape[1]} pixels on "
                f"{self.device} ({error}). If memory ran out, set a smaller batch or image size."
            ) from error
        return [rows[:, :6].float().cpu().numpy() for rows in found]

    def _regions(self, found: NDArray[np.float32], scaled: Size, size: Size) -> list[Region]:
        """Finds as regions of the photo of `size` (height, width): clipped to it, the empty ones left out."""
        from ultralytics.utils.ops import scale_boxes

        boxes = scale_boxes(scaled, found[:, :4].copy(), size) / np.array([*size[::-1], *size[::-1]])
        return [
            Region(x0, y0, x1, y1, float(score), self.class_names[int(number)])
            for (x0, y0, x1, y1), score, number in zip(
                boxes.clip(0, 1).tolist(), *found[:, 4:].T, strict=True
            )
            if x1 > x0 and y1 > y0
        ]
