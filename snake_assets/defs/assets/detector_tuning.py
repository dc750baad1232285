"""What can be set for the training of a detector."""

from pydantic import Field

from snake_assets.defs.lib.config import StepConfig
from snake_assets.detection.auto_labels import Labelling
from snake_assets.detection.recipe import DetectorRecipe
from snake_assets.detection.sides import HELD_OUT

BY_DEFAULT = DetectorRecipe()


class DetectorConfig(StepConfig):
    """How the detector is trained, and on how many photos it is judged."""

    epochs: int = Field(
        default=BY_DEFAULT.epochs, ge=1, le=10_000, description="Passes over the photos, 1 to 10,000."
    )
    image_size: int = Field(
        default=BY_DEFAULT.image_size,
        ge=32,
        le=4096,
        multiple_of=32,
        description="The longer side that photos are scaled to, 32 to 4,096 pixels in steps of 32; "
        "yolo_crops then does the same.",
    )
    batch: int = Field(default=BY_DEFAULT.batch, ge=1, le=4096, description="Photos in a step, 1 to 4,096.")
    learning_rate: float = Field(
        default=BY_DEFAULT.learning_rate,
        gt=0,
        lt=1,
        description="Of AdamW at its highest, above 0 and below 1.",
    )
    frozen_layers: int = Field(
        default=BY_DEFAULT.frozen_layers,
        ge=0,
        le=100,
        description="Layers, from the first on, that stay as they are, 0 to 100; 10 is the backbone of "
        "YOLOv8. Set 0 to train an architecture from nothing.",
    )
    last_without_mosaic: int = Field(
        default=BY_DEFAULT.last_without_mosaic,
        ge=0,
        le=10_000,
        description="Epochs at the end that see whole photos, not four pieced together, 0 to 10,000.",
    )
    seed: int = Field(
        default=BY_DEFAULT.seed,
        ge=0,
        description="Seed of the sides and of the training, 0 or more; the same seed, the same detector.",
    )
    held_out: float = Field(
        default=HELD_OUT,
        gt=0,
        lt=1,
        description="Share of the photos that the detector is judged on and never learns from, above 0 and "
        "below 1. Folders images/train and images/val decide that themselves.",
    )

    labels_at_least: float = Field(
        default=Labelling().least_score,
        gt=0,
        lt=1,
        description="With SNAKE_LABELLER: least score of a find that is learnt from as a box, above 0 and "
        "below 1. The sheet of labels shows what comes of it.",
    )
    most_labelled: int = Field(
        default=Labelling().most_photos,
        ge=1,
        le=1_000_000,
        description="With SNAKE_LABELLER: photos of train that it looks at, evenly spread, 1 to 1,000,000.",
    )
    refused_labels: list[str] = Field(
        default=[],
        description="With SNAKE_LABELLER: image_ids of photos on which its boxes are wrong, as a review "
        "of the sheet or of labels.csv has shown; they are not learnt from.",
    )

    def recipe(self) -> DetectorRecipe:
        """The room's own recipe."""
        return DetectorRecipe(**self.model_dump(include=set(DetectorRecipe.__dataclass_fields__)))

    def labelling(self) -> Labelling:
        """Which finds of the labeller become boxes."""
        return Labelling(self.labels_at_least, self.most_labelled, frozenset(self.refused_labels))
