"""How a detector of our own is trained; the defaults are for some hundred photos on two processors."""

from dataclasses import asdict, dataclass

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.yolo import STRIDE
from snake_assets.storage.fingerprints import Json

# Counts as an input: raise it when the same photos, start and recipe would give other weights.
TRAINING_VERSION = 1


@dataclass(frozen=True)
class DetectorRecipe:
    """What a training goes by. There is no early stopping: it would choose weights by the photos held out.

    Attributes:
        epochs: passes over the training photos, 1 or more.
        image_size: the longer side that photos are scaled to, pixels; a multiple of 32.
        batch: photos in a step, 1 or more.
        learning_rate: of AdamW, above 0; falls to a hundredth of it along half a cosine wave.
        frozen_layers: of the model, from the first on, that stay as they are; 10 is the backbone of YOLOv8.
        last_without_mosaic: epochs at the end that see whole photos, not four of them pieced together.
        seed: of whatever is drawn by chance, 0 or more.
    """

    epochs: int = 30
    image_size: int = 352
    batch: int = 16
    learning_rate: float = 0.001
    frozen_layers: int = 10
    last_without_mosaic: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            min(self.epochs, self.batch) < 1
            or min(self.frozen_layers, self.last_without_mosaic, self.seed) < 0
        ):
            raise DetectionError(
                "Epochs and batch are 1 or more; frozen layers, epochs without mosaic and the seed 0 or more."
            )
        if self.image_size < STRIDE or self.image_size % STRIDE:
            raise DetectionError(f"The image size is {self.image_size}: choose a multiple of {STRIDE}.")
        if not 0 < self.learning_rate < 1:
            raise DetectionError(
                f"The learning rate is {self.learning_rate}: choose one above 0 and below 1."
            )

    def fingerprint_parts(self) -> dict[str, Json]:
        """All of it, in JSON types."""
        return {"version": TRAINING_VERSION, **asdict(self)}
