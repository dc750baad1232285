"""All photos of SnakeCLEF through DINOv2-base on this machine's fastest device, from a cold start.

The pass runs once in a fresh process: from opening the backbone and starting what decodes, over the JPEGs of
`image_table`, to both embedding tables on disk. `seconds` is all of that but Python's imports (`imports_s`);
`img_s` is the photos over it, `steady_img_s` those after the first batch over the time from there. Then, in
the same process, the forward pass alone on pixels that lie on the device, and the matrix products of
`benchmarks.embedding`: what the pass could reach. `model_flops_utilisation` is the share of those products
that the steady pass makes use of, `shares` the seconds of work of each stage per second of the pass, all
decoders together: the stage that is busy all the time is the one that limits.

The weights are random (speed does not depend on them). Photos: those of ../shared/data/snake-boxes,
510 x 385 pixels, over and over, no two files alike; drawn ones of other sizes where there are none. On a
processor, give fewer `--photos`: it sees some ten in a second.
"""

import math
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from snake_assets.vision.embedding_settings import Choice

# Of SnakeCLEF 2024, train, val and test together.
PHOTOS = 182_261
# Enough for a rate, and no more than the device's memory takes as float32 pixels (0.6 MB each).
FORWARD_PHOTOS = 4_096
IMAGE_SIZE = 518


@dataclass(frozen=True)
class How:
    """How the pass is run, as `EmbeddingSettings` and the environment have it."""

    device: str
    precision: str
    batch_size: int | None
    decoders: int | None
    compiled: Choice


def measure(images: Path, model: Path, work: Path, how: How) -> dict[str, object]:
    """Run the pass, then what it is held against."""
    began = time.perf_counter()
    import torch

    from benchmarks.backbones import flops_per_photo
    from benchmarks.embedding import forward_rate, matmul_arm, pixel_batches
    from snake_assets.storage.tables import open_table
    from snake_assets.vision.backbone import open_backbone
    from snake_assets.vision.embedding import DCT, DINOV2, EmbeddingSettings, embed

    imports_s = time.perf_counter() - began
    table = open_table(images)
    photos = table.manifest.rows_out
    settings = EmbeddingSettings(
        batch_size=how.batch_size,
        decoders=how.decoders,
        compiled=how.compiled,
    )
    seen: list[tuple[float, int]] = []
    began = time.perf_counter()
    backbone = open_backbone(str(model), device=how.device, precision=how.precision)
    with tempfile.TemporaryDirectory(dir=work) as store:
        folders = {name: Path(store) / name for name in (DINOV2, DCT)}
        run = embed(
            table,
            folders,
            backbone,
            settings,
            lambda done, _: seen.append((time.perf_counter() - began, done)),
        )
        seconds = time.perf_counter() - began
    rows = {manifest.rows_out for manifest in run.manifests.values()}
    if rows != {photos}:
        raise RuntimeError(f"the pass wrote {rows} of {photos} photos")
    decoding = resource.getrusage(resource.RUSAGE_CHILDREN)
    (first_batch_s, first), decided = seen[0], settings.for_work(backbone, photos, photos)
    steady = (photos - first) / (seconds - first_batch_s) if photos > first else photos / seconds

    import transformers

    config = transformers.AutoConfig.from_pretrained(model)
    batch_size = settings.photos_in_a_batch(backbone)
    batches = pixel_batches(table, backbone, batch_size, FORWARD_PHOTOS)
    forward_rate(backbone, batches[:2])
    forward = max(forward_rate(backbone, batches) for _ in range(3))
    matmul = matmul_arm(backbone, config, batch_size)()
    flops = flops_per_photo(config, math.prod(backbone.patch_grid))
    return {
        "photos": photos,
        "seconds": significant(seconds),
        "img_s": significant(photos / seconds),
        "steady_img_s": significant(steady),
        "first_batch_s": significant(first_batch_s),
        "imports_s": significant(imports_s),
        "forward_img_s": significant(forward),
        "steady_over_forward": significant(steady / forward),
        "matmul_tflops": significant(matmul),
        "model_flops_utilisation": significant(flops * steady / 1e12 / matmul),
        "shares": {stage: significant(share, 3) for stage, share in run.shares.items()},
        "decoders": decided.decoders,
        "processes": decided.processes == "always",
        "decoder_cpu_s_per_image": significant((decoding.ru_utime + decoding.ru_stime) / photos),
        "compiled": decided.compiled == "always",
        "batch_size": batch_size,
        "device": torch.cuda.get_device_name() if backbone.device == "cuda" else backbone.device,
        "precision": backbone.precision,
        "peak_device_mb": significant((run.peak_device_bytes or 0) / 1e6),
        "peak_rss_mb": significant(peak_rss_mb()),
        "bytes_per_image": significant(sum(manifest.bytes for manifest in run.manifests.values()) / photos),
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=1)
    add_photo_options(parser)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="photos of the pass")
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
        model = work / "dinov2-base"
        in_fresh_process(_write_model, model, given.layers)
        sources = photo_sources(given.sources, [SNAKE_BOXES], work)
        images = work / "image_table"
        size = write_images([file.read_bytes() for file in sources.files], given.photos, images)
        print(f"{given.photos} {sources.origin} photos, {size / 1e9:.2f} GB", flush=True)
        measured = [in_fresh_process(measure, images, model, work, how) for _ in range(given.rounds)]
    fastest = min(measured, key=lambda one: float(str(one["seconds"])))
    return finish({**fastest, "origin": sources.origin, "rounds": given.rounds})


def _write_model(folder: Path, layers: int) -> None:
    from transformers import Dinov2Config

    from benchmarks.backbones import write_backbone

    write_backbone(folder, Dinov2Config(image_size=IMAGE_SIZE, num_hidden_layers=layers))


if __name__ == "__main__":
    main()
