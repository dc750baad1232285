"""A detector made and judged: trained on one side of the photos, held against the other."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snake_assets.detection.box_files import BoxedPhoto
from snake_assets.detection.finders.yolo_weights import Weights, open_weights
from snake_assets.detection.judging import JUDGING_VERSION, Judgement, judge, judging_finder
from snake_assets.detection.recipe import DetectorRecipe
from snake_assets.detection.sides import Sides
from snake_assets.detection.starting import Start
from snake_assets.detection.training import Progress, train_detector
from snake_assets.storage.fingerprints import Json


@dataclass(frozen=True, eq=False)
class MadeDetector:
    """A detector of our own and how good it is on photos that it has not learnt from.

    Attributes:
        weights: its file.
        sides: which photos it was trained and judged on.
        judgement: of it on the photos held out.
        of_start: of the weights that it started from on the same photos, where any find counts, whatever
            it is called; None where it started from an architecture.
        seconds: that the training took on the clock, and of processors.
    """

    weights: Weights
    sides: Sides
    judgement: Judgement
    of_start: Judgement | None
    seconds: tuple[float, float]

    def scores(self) -> dict[str, Json]:
        """All figures, for a file."""
        return {
            "detector": self.judgement.scores(),
            "start": self.of_start.scores() if self.of_start else None,
            "photos": {
                "training": len(self.sides.training),
                "held_out": len(self.sides.held_out),
                "repeating_another": self.sides.alike,
                "left_out": _names(self.sides.left_out),
            },
            "boxes_to_learn_from": sum(len(photo.boxes) for photo in self.sides.training),
            "sha256": self.weights.sha256,
            "seconds": round(self.seconds[0], 1),
            "processor_seconds": round(self.seconds[1], 1),
        }


def make_detector(
    sides: Sides,
    start: Start,
    recipe: DetectorRecipe,
    file: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> MadeDetector:
    """Train a detector into `file`, and judge it and its start at the size it was trained at.

    Raises:
        DetectionError: as `train_detector` and `judge`.
    """
    clock, processor = time.perf_counter(), time.process_time()
    train_detector(sides.training, start, recipe, file, device, progress)
    seconds = time.perf_counter() - clock, time.process_time() - processor
    weights = open_weights(str(file))

    def judged(judged_weights: Weights) -> Judgement:
        return judge(judging_finder(judged_weights, recipe.image_size, device), sides.held_out)

    of_start = judged(start.weights) if start.weights else None
    return MadeDetector(weights, sides, judged(weights), of_start, seconds)


def making_recipe(start: Start, recipe: DetectorRecipe) -> dict[str, Json]:
    """What decides a detector and its figures besides the photos."""
    return {
        "start": start.fingerprint_parts(),
        "training": recipe.fingerprint_parts(),
        "judging": JUDGING_VERSION,
    }


def _names(photos: Sequence[BoxedPhoto]) -> list[str]:
    return [photo.name for photo in photos]
