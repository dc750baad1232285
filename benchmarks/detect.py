"""Finding snakes with YOLOv8n: the detector alone, our pass around it, and ultralytics' own `predict`.

- forward: the forward pass alone on pixel tensors that lie on the device, in the pass's batches and shapes.
- pipeline: `find_snakes` from `image_table` to the table of crops on disk, in a fresh folder each time.
- predict: `YOLO(weights).predict(folder)` as its users run it, over the same photos as files, one at a time;
  it writes nothing.
- predict batched: the same with `batch` photos at a time.

All find by the same confidence, overlap and image size. Weights: ../shared/data/weights/yolov8n, else
untrained ones of the same architecture. Photos: those of ../shared/data/snake-boxes, 510 x 385 pixels, over
and over, no two files alike; drawn ones of other sizes where there are none.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import (
    SHARED_DATA,
    SNAKE_BOXES,
    Ratio,
    RawPhotos,
    add_photo_options,
    finish,
    in_turn,
    lay_out,
    middle,
    options,
    photo_sources,
)
from benchmarks.embedding import thrown_away, wait_for
from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import open_weights, quiet_ultralytics
from snake_assets.snakeclef.image_table import ingest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.encoder import resolve_device
from snake_assets.vision.decoding.decode import decode

REAL_WEIGHTS = SHARED_DATA / "weights" / "yolov8n" / "yolov8n.pt"


def untrained_weights(path: Path) -> Path:
    """YOLOv8n that was never trained, in ultralytics' own format."""
    quiet_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", verbose=False)
    model.task = "detect"
    torch.save({"model": model.half(), "train_args": {"task": "detect"}}, path)
    return path


def pixel_batches(images: Table, finder: YoloFinder, batch_size: int) -> list[torch.Tensor]:
    """All photos as the detector takes them, float32 [B, 3, h, w] on its device, alike shapes together."""
    batches = []
    for shard in images.manifest.shards:
        for rows in images.batches(shard, ["image"], batch_size):
            boxed = [finder.letterboxed(decode(data)) for data in rows["image"].to_pylist()]
            for shape in dict.fromkeys(pixels.shape for pixels in boxed):
                same = [pixels for pixels in boxed if pixels.shape == shape]
                batches.append(finder.pixel_values(np.stack(same)))
    return batches


def forward_rate(finder: YoloFinder, batches: Sequence[torch.Tensor]) -> float:
    """Photos per second of the forward pass alone."""
    wait_for(finder.device)
    began = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            finder.model(batch)
    wait_for(finder.device)
    return sum(len(batch) for batch in batches) / (time.perf_counter() - began)


def pipeline_rate(images: Table, finder: YoloFinder, settings: FindingSettings, work: Path) -> float:
    """Photos per second of the pass."""
    with thrown_away(work) as store:
        began = time.perf_counter()
        run = find_snakes(images, store / "crops", finder, settings)
        seconds = time.perf_counter() - began
    (manifest,) = run.manifests.values()
    if manifest.rows_out != images.manifest.rows_out:
        raise RuntimeError(f"the pass wrote {manifest.rows_out} photos: the arms differ")
    return images.manifest.rows_out / seconds


def predict_arm(finder: YoloFinder, photos: RawPhotos, batch: int) -> Callable[[], float]:
    """Measures photos per second of ultralytics' own way; its model is loaded and fused before."""
    quiet_ultralytics()
    from ultralytics import YOLO

    model = YOLO(str(finder.weights.path))
    folder = str((photos.files[0].root / photos.files[0].path).parent)

    def found(files: str | list[str]) -> int:
        results = model.predict(
            files,
            stream=True,
            batch=batch,
            conf=finder.confidence,
            iou=finder.iou,
            imgsz=finder.image_size,
            max_det=finder.most,
            agnostic_nms=True,
            device=finder.device,
            verbose=False,
            save=False,
        )
        return sum(1 for _ in results)

    def rate() -> float:
        began = time.perf_counter()
        seen = found(folder)
        seconds = time.perf_counter() - began
        if seen != len(photos.files):
            raise RuntimeError(f"predict saw {seen} photos of {len(photos.files)}: the arms differ")
        return seen / seconds

    found([str(file.root / file.path) for file in photos.files[:batch]])
    return rate


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=3)
    add_photo_options(parser)
    parser.add_argument("--photos", type=int, default=128, help="photos of every arm")
    parser.add_argument("--batch-size", type=int, default=None, help="photos in a batch; default: the pass's")
    parser.add_argument("--image-size", type=int, default=640, help="longer side that photos are scaled to")
    parser.add_argument("--device", default="auto", help="as SNAKE_DEVICE")
    given = parser.parse_args(arguments)
    settings = FindingSettings(batch_size=given.batch_size)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        real = REAL_WEIGHTS.is_file()
        weights = open_weights(str(REAL_WEIGHTS if real else untrained_weights(work / "yolov8n.pt")))
        finder = YoloFinder(weights, resolve_device(given.device), image_size=given.image_size)
        # COCO has no snakes: what takes time is looked for all the same.
        finder = replace(finder, classes=tuple(finder.class_names.values()))
        batch_size = settings.photos_in_a_batch(finder)
        sources = photo_sources(given.sources, [SNAKE_BOXES], work)
        photos = lay_out(sources.files, given.photos, work / "raw")
        ingest(photos.rows, photos.files, "train", work / "image_table" / "train")
        images = open_table(work / "image_table" / "train")
        batches = pixel_batches(images, finder, batch_size)
        threads = torch.get_num_threads()

        def with_all_threads(arm: Callable[[], float]) -> Callable[[], float]:
            """`predict` leaves a processor free, and leaves torch like that for whoever comes next."""

            def measured() -> float:
                torch.set_num_threads(threads)
                return arm()

            return measured

        arms: dict[str, Callable[[], float]] = {
            "forward": with_all_threads(lambda: forward_rate(finder, batches)),
            "pipeline": with_all_threads(lambda: pipeline_rate(images, finder, settings, work)),
            "predict": predict_arm(finder, photos, 1),
            "predict batched": predict_arm(finder, photos, batch_size),
        }
        forward_rate(finder, batches[:1])
        measured = in_turn(arms, given.rounds, "photos/s")
    return finish(
        {
            "forward_img_s": middle(measured["forward"]),
            "pipeline_img_s": middle(measured["pipeline"]),
            "predict_img_s": middle(measured["predict"]),
            "predict_batched_img_s": middle(measured["predict batched"]),
            **Ratio.of(measured["pipeline"], measured["forward"]).named("pipeline_over_forward"),
            **Ratio.of(measured["pipeline"], measured["predict"]).named("pipeline_over_predict"),
            **Ratio.of(measured["pipeline"], measured["predict batched"]).named("pipeline_over_batched"),
            "weights": "yolov8n" if real else "untrained",
            "image_size": given.image_size,
            "batch_size": batch_size,
            "device": finder.device,
            "threads": threads,
            "photos": sources.origin,
            "photo_count": given.photos,
            "rounds": given.rounds,
        }
    )


if __name__ == "__main__":
    main()
