"""The training of a detector with ultralytics' own trainer, in a folder that is gone afterwards."""

import copy
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from snake_assets.detection.box_files import IMAGES, LABELS, BoxedPhoto, pixels_of
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.yolo_weights import quiet_ultralytics
from snake_assets.detection.label_text import LabelledBox, label_text
from snake_assets.detection.recipe import DetectorRecipe
from snake_assets.detection.starting import Start

CLASS = "snake"
QUALITY = 95
Progress = Callable[[int, int], None]


def train_detector(
    photos: Sequence[BoxedPhoto],
    start: Start,
    recipe: DetectorRecipe,
    file: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Train a detector of one class, snake, and write its weights as a file that `SNAKE_DETECTOR` takes.

    Weights are the moving average after the last epoch, float16, without what only training needs. The same
    photos, start, recipe and machine give the same file. No photo is looked at but these.

    Args:
        photos: to learn from; at least one with a box.
        start: what the training starts from.
        recipe: how it is done.
        file: to write, ending in .pt.
        device: "cpu", "cuda" or "mps".
        progress: called after each epoch with epochs done and epochs in all.

    Raises:
        DetectionError: no box, a photo that cannot be read, weights that are refused, a training that fails.
    """
    if not any(len(photo.boxes) for photo in photos):
        raise DetectionError(
            f"None of the {len(photos)} photos to learn from has a box: draw boxes on more photos."
        )
    quiet_ultralytics()
    import torch

    layout, model = start.open()
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="snake-detector-") as place:
        folder = Path(place)
        trainer = _trainer(_write_data(photos, folder, recipe.image_size), folder, recipe, device)
        trainer.model = trainer.get_model(cfg=copy.deepcopy(layout), weights=model, verbose=False)
        if progress:
            progress(0, recipe.epochs)
            trainer.add_callback(
                "on_train_epoch_end", lambda running: progress(running.epoch + 1, recipe.epochs)
            )
        # It leaves a processor free for other work, as it says; here there is none.
        torch.set_num_threads(threads)
        try:
            trainer.train()
        except (RuntimeError, MemoryError) as error:
            raise DetectionError(
                f"The training failed on {len(photos)} photos on {device} ({error}). If memory ran out, set "
                "a smaller batch or image_size; if numbers were not finite, a lower learning_rate."
            ) from error
    _save(trainer.ema.ema, recipe, file)


def _write_data(photos: Sequence[BoxedPhoto], folder: Path, image_size: int) -> Path:
    """Photos and labels as the trainer reads them; its caches then lie beside these, not in the user's."""
    for name in (IMAGES, LABELS):
        (folder / name).mkdir()
    for number, photo in enumerate(photos):
        name = f"{number:06}"
        pixels = pixels_of(photo, image_size)
        Image.fromarray(pixels).save(folder / IMAGES / f"{name}.jpg", quality=QUALITY, subsampling=0)
        boxes = [LabelledBox(0, *box) for box in photo.boxes.tolist()]
        (folder / LABELS / f"{name}.txt").write_text(label_text(boxes))
    data = folder / "data.yaml"
    # It wants a folder to validate on, and never does.
    data.write_text(f"path: {folder}\ntrain: {IMAGES}\nval: {IMAGES}\nnames: [{CLASS}]\n")
    return data


def _trainer(data: Path, folder: Path, recipe: DetectorRecipe, device: str) -> Any:
    """Without validation, checkpoints, plots, and mixed precision, whose check wants a download."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    class Trainer(DetectionTrainer):  # type: ignore[misc]
        def validate(self) -> tuple[dict[str, float], float]:
            return {}, 0.0

        def save_model(self) -> bool:
            return False

        def save_metrics(self, metrics: dict[str, float]) -> None:
            pass

        def final_eval(self) -> None:
            pass

    return Trainer(
        overrides={
            "task": "detect",
            "model": "snake.yaml",
            "data": str(data),
            "project": str(folder),
            "name": "run",
            "device": device,
            "epochs": recipe.epochs,
            "imgsz": recipe.image_size,
            "batch": recipe.batch,
            # A step for each batch, however small.
            "nbs": recipe.batch,
            "optimizer": "AdamW",
            "lr0": recipe.learning_rate,
            "cos_lr": True,
            "momentum": 0.9,
            "warmup_epochs": 1.0,
            "warmup_bias_lr": 0.0,
            "freeze": recipe.frozen_layers,
            "close_mosaic": min(recipe.last_without_mosaic, recipe.epochs),
            "seed": recipe.seed,
            "deterministic": True,
            "amp": False,
            "val": False,
            "save": False,
            "plots": False,
            "verbose": False,
            "workers": 0,
        }
    )


def _save(model: Any, recipe: DetectorRecipe, file: Path) -> None:
    import torch

    told = {"task": "detect", "imgsz": recipe.image_size}
    if not all(torch.isfinite(values).all() for values in model.state_dict().values()):
        raise DetectionError("The trained weights are not finite: set a lower learning_rate, and run again.")
    model = copy.deepcopy(model).cpu().half().eval()
    model.args, model.criterion, model.task = told, None, "detect"
    for parameter in model.parameters():
        parameter.requires_grad = False
    # Into memory first: a file's name would be part of the file.
    content = io.BytesIO()
    torch.save({"model": model, "train_args": told}, content)
    file.write_bytes(content.getvalue())
