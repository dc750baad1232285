"""All photos of SnakeCLEF through DINOv2-base on this machine's fastest device, from a cold start.

The pass runs once in a fresh process: from opening the backbone and starting what decodes, over the JPEGs of
`image_table`, to both embedding tables on disk. `seconds` is all of that but Python's imports (`imports_s`);
`img_s` is the photos over it, `steady_img_s` those after the first batch over the time from there. Then, in
the same process, the forward pass alone on pixels that lie on the device, and the matrix products of
`benchmarks.embedding`: what the pass could reach. `model_flops_utilisation` is the share of those products
that the steady pass makes use of; `shares` are the seconds of work of each stage per second of the pass, all
decoders together: the stage that is busy all the time is the one that limits. Of several rounds, the one with
the median of `seconds` is told.

The weights are random (speed does not depend on them). Photos: those of ../shared/data/snake-boxes,
510 x 385 pixels, over and over, no two files alike; drawn ones of other sizes where there are none. Without a
GPU there are 256 of them by default: a processor sees some ten in a second.
"""

import math
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import (
    SNAKE_BOXES,
    add_photo_options,
    finish,
    in_fresh_process,
    options,
    peak_rss_mb,
    photo_sources,
    significant,
)
from benchmarks.tables import write_images
from snake_assets.vision.embedding.embed import Choice

if TYPE_CHECKING:
    from snake_assets.storage.tables.table import Table
    from snake_assets.vision.backbone.backbone import Backbone

# Of SnakeCLEF 2024, train, val and test together.
PHOTOS, PHOTOS_ON_A_PROCESSOR = 182_261, 256
# Enough for a rate; as float32 pixels they are 2.5 GB of the device's memory.
FORWARD_PHOTOS, FORWARD_ROUNDS = 4_096, 3
IMAGE_SIZE = 518


@dataclass(frozen=True)
class How:
    """How the pass is run, as the environment and the config of `embeddings` have it."""

    device: str
    precision: str
    batch_size: int | None
    decoders: int | None
    compiled: Choice


def measure(images: Path, model: Path, work: Path, how: How) -> dict[str, object]:
    """Run the pass, then what it is held against."""
    began = time.perf_counter()
    import torch

    from snake_assets.storage.tables.table import open_table
    from snake_assets.vision.backbone.backbone import open_backbone
    from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
    from snake_assets.vision.embedding.tables import DCT, DINOV2

    table, imports_s = open_table(images), time.perf_counter() - began
    settings = EmbeddingSettings(batch_size=how.batch_size, decoders=how.decoders, compiled=how.compiled)
    seen: list[tuple[float, int]] = []

    def progress(done: int, to_compute: int) -> None:
        seen.append((time.perf_counter() - began, done))

    with tempfile.TemporaryDirectory(dir=work) as store:
        folders = {name: Path(store) / name for name in (DINOV2, DCT)}
        began = time.perf_counter()
        backbone = open_backbone(str(model), device=how.device, precision=how.precision)
        run = embed(table, folders, backbone, settings, progress)
        seconds = time.perf_counter() - began
    photos = table.manifest.rows_out
    if {manifest.rows_out for manifest in run.manifests.values()} != {photos}:
        raise RuntimeError(f"not all of {photos} photos were written: what is faster is no measure")
    decided = settings.for_work(backbone, photos, photos)
    first_batch_s, first = seen[0]
    steady = (photos - first) / (seconds - first_batch_s) if photos > first else photos / seconds
    decoders = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "photos": photos,
        "seconds": significant(seconds),
        "img_s": significant(photos / seconds),
        "steady_img_s": significant(steady),
        "first_batch_s": significant(first_batch_s),
        "imports_s": significant(imports_s),
        **_held_against(table, backbone, model, settings.photos_in_a_batch(backbone), steady),
        "shares": {stage: significant(share, 3) for stage, share in run.shares.items()},
        "decoders": decided.decoders,
        "processes": decided.processes == "always",
        "decoder_cpu_s_per_image": significant((decoders.ru_utime + decoders.ru_stime) / photos),
        "compiled": decided.compiled == "always",
        "batch_size": decided.batch_size,
        "device": torch.cuda.get_device_name() if backbone.device == "cuda" else backbone.device,
        "precision": backbone.precision,
        "peak_device_mb": significant((run.peak_device_bytes or 0) / 1e6),
        "peak_rss_mb": significant(peak_rss_mb()),
        "bytes_per_image": significant(sum(one.bytes for one in run.manifests.values()) / photos),
    }


def _held_against(
    table: "Table", backbone: "Backbone", model: Path, batch_size: int, steady: float
) -> dict[str, float]:
    from transformers import AutoConfig

    from benchmarks.backbones import flops_per_photo
    from benchmarks.embedding import forward_rate, matmul_arm, pixel_batches

    config = AutoConfig.from_pretrained(model)
    batches = pixel_batches(table, backbone, batch_size, FORWARD_PHOTOS)
    forward_rate(backbone, batches[:1])
    forward = statistics.median(forward_rate(backbone, batches) for _ in range(FORWARD_ROUNDS))
    matmul = matmul_arm(backbone, config, batch_size)()
    flops = flops_per_photo(config, math.prod(backbone.patch_grid))
    return {
        "forward_img_s": significant(forward),
        "steady_over_forward": significant(steady / forward),
        "matmul_tflops": significant(matmul),
        "model_flops_utilisation": significant(flops * steady / 1e12 / matmul),
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=1)
    add_photo_options(parser)
    parser.add_argument("--photos", type=int, default=None, help="photos of the pass; default: see above")
    parser.add_argument("--layers", type=int, default=12, help="layers of the model; DINOv2-base has 12")
    parser.add_argument("--batch-size", type=int, default=None, help="photos in a batch; default: the pass's")
    parser.add_argument("--decoders", type=int, default=None, help="as in the config of `embeddings`")
    parser.add_argument("--compiled", default="auto", choices=("auto", "always", "never"), help="likewise")
    parser.add_argument("--device", default="auto", help="as SNAKE_DEVICE")
    parser.add_argument("--precision", default="auto", help="as SNAKE_PRECISION")
    given = parser.parse_args(arguments)
    how = How(given.device, given.precision, given.batch_size, given.decoders, given.compiled)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        model, images = work / "dinov2-base", work / "image_table"
        device = in_fresh_process(_prepared, model, given.layers, given.device)
        count = given.photos or (PHOTOS_ON_A_PROCESSOR if device == "cpu" else PHOTOS)
        sources = photo_sources(given.sources, [SNAKE_BOXES], work)
        size = write_images([file.read_bytes() for file in sources.files], count, images)
        print(f"{count} {sources.origin} photos, {size / 1e9:.2f} GB, on {device}", flush=True)
        measured = [in_fresh_process(measure, images, model, work, how) for _ in range(given.rounds)]
    measured.sort(key=lambda one: float(str(one["seconds"])))
    return finish({**measured[len(measured) // 2], "origin": sources.origin, "rounds": given.rounds})


def _prepared(model: Path, layers: int, device: str) -> str:
    """Write the model; returns the device that the setting stands for. Away from what is measured."""
    from transformers import Dinov2Config

    from benchmarks.backbones import write_backbone
    from snake_assets.vision.backbone.encoder import resolve_device

    write_backbone(model, Dinov2Config(image_size=IMAGE_SIZE, num_hidden_layers=layers))
    return resolve_device(device)


if __name__ == "__main__":
    main()
