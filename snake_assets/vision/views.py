"""How a backbone is made to look at photos: choices that matter for the score."""

from dataclasses import dataclass
from typing import Literal, get_args

from snake_assets.vision.errors import BackboneError

ResizePolicy = Literal["crop", "squash", "pad"]
POLICIES: tuple[ResizePolicy, ...] = get_args(ResizePolicy)
MAX_RESOLUTION = 518
MAX_LAYERS = 4
MAX_SCALE = 4.0


@dataclass(frozen=True)
class View:
    """A way to look at photos. The default is the backbone's own.

    Attributes:
        resolution: side of the square input in pixels, a multiple of the patch size up to 518; position
            embeddings are interpolated by the model. None: the backbone's own, times `scale`.
        scale: multiplies the backbone's own side where that is a square, rounded to whole patches.
        resize: "crop" as the backbone's own preprocessing does it; "squash" the whole photo to the square;
            "pad" the whole photo, its longest side fitted, with bands of the mean colour.
        flip: average the features of the photo and of its mirror image.
        last_layers: how many of the last layers give their CLS token, after the final norm, last one last.

    Raises:
        BackboneError: a value out of its range.
    """

    resolution: int | None = None
    scale: float = 1.0
    resize: ResizePolicy = "crop"
    flip: bool = False
    last_layers: int = 1

    def __post_init__(self) -> None:
        """Check what can be checked without a backbone."""
        if self.resize not in POLICIES:
            raise BackboneError(f"The resize policy {self.resize!r} is none of {', '.join(POLICIES)}.")
        if not 1 <= self.last_layers <= MAX_LAYERS:
            raise BackboneError(f"last_layers is {self.last_layers}; it can be 1 to {MAX_LAYERS}.")
        if self.resolution is not None and not 1 <= self.resolution <= MAX_RESOLUTION:
            raise BackboneError(
                f"The resolution {self.resolution} is not within 1 to {MAX_RESOLUTION} pixels."
            )
        if not 0 < self.scale <= MAX_SCALE:
            raise BackboneError(f"The scale {self.scale} is not above 0 and at most {MAX_SCALE}.")

    def side(self, own: tuple[int, int], patch: int) -> int | None:
        """Side of the square input in pixels; None for the backbone's own input.

        Args:
            own: (height, width) of the backbone's own input.
            patch: side of a patch.
        """
        if self.resolution is not None or self.scale == 1 or own[0] != own[1]:
            return self.resolution
        side: int = max(1, round(own[0] * self.scale / patch)) * patch
        return side if side <= MAX_RESOLUTION else max(own[0], MAX_RESOLUTION // patch * patch)
