"""A detector of our own: trained and judged by ultralytics, in a folder that is gone afterwards."""

import copy
import io
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from snake_assets.detection.box_files import BoxedPhoto, HeldOut
from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.yolo_weights import Weights, load_yolo, open_weights, quiet_ultralytics
from snake_assets.storage.fingerprints import Json

# Counts as an input: raise it when the same photos, start and recipe would give other weights.
TRAINING_VERSION = 2
UNTRAINED = "yolov8n.yaml"
CLASS = "snake"
# Epochs at the end that see whole photos, not four of them pieced together.
LAST_WITHOUT_MOSAIC = 8
WEIGHTS_FILE = "detector.pt"
# Pictures of ultralytics: what they show.
PICTURES = {
    "BoxPR_curve.png": "precision over recall",
    "BoxF1_curve.png": "F1 over the least score",
    "val_batch0_labels.jpg": "photos that were held out, as a person drew them",
    "val_batch0_pred.jpg": "the same photos, as the detector sees them",
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DetectorRecipe:
    """What a training goes by. There is no early stopping: it would choose weights by the photos held out.

    Attributes:
        epochs: passes over the training photos, 1 or more.
        image_size: the longer side that photos are scaled to, pixels; a multiple of 32.
        batch: photos in a step, 1 or more.
        learning_rate: of AdamW, above 0; falls to a hundredth of it along half a cosine wave.
        frozen_layers: of the model, from the first on, that stay as they are; 10 is the backbone of YOLOv8.
        seed: of whatever is drawn by chance, 0 or more.
    """

    epochs: int = 30
    image_size: int = 352
    batch: int = 16
    learning_rate: float = 0.001
    frozen_layers: int = 10
    seed: int = 0


def training_recipe(start: Weights | None, recipe: DetectorRecipe) -> dict[str, Json]:
    """What decides a detector and its figures besides the photos."""
    return {
        "version": TRAINING_VERSION,
        "start": start.sha256 if start else UNTRAINED,
        "training": asdict(recipe),
        "ultralytics": quiet_ultralytics().split(".")[0],
    }


def train_detector(
    photos: HeldOut,
    start: Weights | None,
    recipe: DetectorRecipe,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Json]:
    """Train a detector of one class, snake, and judge it and its start on the photos held out.

    Weights are the moving average after the last epoch, float16, without what only training needs. The same
    photos, start, recipe and machine give the same file.

    Args:
        photos: to learn from and to judge by.
        start: weights to start from; None for yolov8n that has never seen a photo.
        recipe: how it is done.
        folder: where `WEIGHTS_FILE`, which SNAKE_DETECTOR takes, and ultralytics' pictures are written.
        device: "cpu", "cuda" or "mps".
        progress: called after each epoch with epochs done and epochs in all.

    Returns:
        The figures of `_judged` under "detector" and "start" (None without weights), and the file's "sha256".

    Raises:
        DetectionError: a photo that cannot be read, weights that are refused, a training that fails.
    """
    quiet_ultralytics()
    import torch
    from ultralytics import YOLO
    from ultralytics.utils import ROOT

    if start and (task := load_yolo(start).task) != "detect":
        raise DetectionError(f"{start.path} is for the task {task}: start from weights for the task detect.")
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="snake-detector-") as place:
        work = Path(place)
        data = work / "data.yaml"
        data.write_text(f"path: {work}\ntrain: images/train\nval: images/val\nnames: [{CLASS}]\n")
        for side, some in (("train", photos.training), ("val", photos.held_out)):
            _write_photos(some, work, side, recipe.image_size)
        # By its whole path: a file of this name in the working folder could name code to run.
        untrained = Path(ROOT) / "cfg" / "models" / "v8" / UNTRAINED
        settings = {
            "data": str(data),
            "project": place,
            "device": device,
            "imgsz": recipe.image_size,
            "batch": recipe.batch,
            "verbose": False,
            "workers": 0,
        }

        def with_all_threads(yolo: Any) -> Any:
            """It leaves a processor free for other work; here there is none."""
            for event in ("on_train_start", "on_val_start"):
                yolo.add_callback(event, lambda _: torch.set_num_threads(threads))
            return yolo

        try:
            before = _judged(with_all_threads(load_yolo(start)), settings) if start else None
            yolo = with_all_threads(load_yolo(start) if start else YOLO(str(untrained)))
            _save(_trained(yolo, settings, recipe, progress), recipe, folder / WEIGHTS_FILE)
            weights = open_weights(str(folder / WEIGHTS_FILE))
            after = _judged(with_all_threads(load_yolo(weights)), settings, folder)
        except DetectionError:
            raise
        except (RuntimeError, MemoryError, ValueError) as error:
            raise DetectionError(
                f"The training failed on {len(photos.training)} photos on {device} ({error}). If memory ran "
                "out, set a smaller batch or image_size; if numbers were not finite, a lower learning_rate."
            ) from error
        finally:
            torch.set_num_threads(threads)
    return {"detector": after, "start": before, "sha256": weights.sha256}


def _write_photos(photos: Sequence[BoxedPhoto], work: Path, side: str, image_size: int) -> None:
    """Photos and labels as ultralytics reads them; its caches then lie beside these, not in the user's."""
    images, labels = (work / kind / side for kind in ("images", "labels"))
    for made in (images, labels):
        made.mkdir(parents=True)
    for number, photo in enumerate(photos):
        pixels = photo.pixels(image_size)
        Image.fromarray(pixels).save(images / f"{number:06}.jpg", quality=95, subsampling=0)
        lines = (
            f"0 {(x0 + x1) / 2:.9f} {(y0 + y1) / 2:.9f} {x1 - x0:.9f} {y1 - y0:.9f}\n"
            for x0, y0, x1, y1 in photo.boxes.tolist()
        )
        (labels / f"{number:06}.txt").write_text("".join(lines))


def _trained(
    yolo: Any, settings: Mapping[str, object], recipe: DetectorRecipe, progress: Progress | None
) -> Any:
    """The trained model. Mixed precision stays off: its check wants a download."""
    if progress:
        progress(0, recipe.epochs)
        yolo.add_callback("on_train_epoch_end", lambda running: progress(running.epoch + 1, recipe.epochs))
    yolo.train(
        **settings,
        name="train",
        epochs=recipe.epochs,
        # A step for each batch, however small.
        nbs=recipe.batch,
        optimizer="AdamW",
        lr0=recipe.learning_rate,
        cos_lr=True,
        momentum=0.9,
        warmup_epochs=1.0,
        warmup_bias_lr=0.0,
        freeze=recipe.frozen_layers,
        close_mosaic=min(LAST_WITHOUT_MOSAIC, recipe.epochs),
        seed=recipe.seed,
        deterministic=True,
        amp=False,
        # But for the last epoch's, whose weights are taken whatever it says.
        val=False,
        save=False,
        patience=0,
        plots=False,
    )
    return yolo.model


def _judged(yolo: Any, settings: Mapping[str, object], pictures: Path | None = None) -> dict[str, Json]:
    """How good a detector is on the photos held out, whatever it calls what it finds.

    Returns:
        map50, map50_95, and where F1 is highest precision, recall and the least score ("confidence"), 0 to 1.
    """
    from ultralytics.utils.metrics import smooth

    plots = pictures is not None
    metrics = yolo.val(**settings, name=f"val{plots}", single_cls=True, plots=plots)
    for name in PICTURES:
        if pictures and (metrics.save_dir / name).is_file():
            shutil.copyfile(metrics.save_dir / name, pictures / name)
    box = metrics.box
    # As ultralytics chooses where it tells precision and recall.
    best = smooth(box.f1_curve.mean(0), 0.1).argmax() if len(box.f1_curve) else None
    return {
        "map50": round(float(box.map50), 4),
        "map50_95": round(float(box.map), 4),
        "precision": round(float(box.mp), 4),
        "recall": round(float(box.mr), 4),
        "confidence": None if best is None else round(float(box.px[best]), 3),
    }


def _save(model: Any, recipe: DetectorRecipe, file: Path) -> None:
    """In ultralytics' own format, without paths and dates."""
    import torch

    told = {"task": "detect", "imgsz": recipe.image_size}
    model = copy.deepcopy(model).cpu().half().eval()
    if not all(torch.isfinite(values).all() for values in model.state_dict().values()):
        raise DetectionError("The trained weights are not finite: set a lower learning_rate, and run again.")
    model.args, model.criterion, model.task, model.pt_path = told, None, "detect", WEIGHTS_FILE
    for parameter in model.parameters():
        parameter.requires_grad = False
    # Into memory first: a file's name would be part of the file.
    content = io.BytesIO()
    torch.save({"model": model, "train_args": told}, content)
    file.write_bytes(content.getvalue())
