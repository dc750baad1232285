"""Embedding with DINOv2-base: the model alone, the pipeline around it, and the paper's recipe.

- forward: the forward pass alone on pixel tensors that lie on the device, in the pipeline's batches and
  precision.
- pipeline: `embed` from `image_table` to both embedding tables on disk, in a fresh store folder each time.
- matmul: the model's widest products, [batch x 257, 768] x [768, 3072] and back, in the pipeline's precision:
  what the machine could do. `model_flops_utilisation` is the pipeline's share of that.
- paper: see `benchmarks.paper`; on fewer photos, since it is slow.

The model is compiled, as it is for splits of 10,000 photos and more, before anything is timed
(`first_batch_s` tells how long that took); `--compiled never` measures what smaller sets get. The arm forward
has the same model.

The weights are random (speed does not depend on them). Photos: those of ../shared/data/snake-boxes,
510 x 385 pixels, over and over, no two files alike; drawn ones of other sizes where there are none.
`peak_rss_mb` is that of a fresh process that runs the pipeline alone. `cpu_s_per_image` is what the pipeline
took of all processors together, and `decode_cpu_s_per_image` what decoding and resizing took of them: both
hold on a machine that has more to do, too (deploy/cost.py).
"""

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoConfig, Dinov2Config

from benchmarks.backbones import flops_per_photo, write_backbone
from benchmarks.common import (
    SNAKE_BOXES,
    Ratio,
    add_photo_options,
    finish,
    in_fresh_process,
    in_turn,
    lay_out,
    middle,
    options,
    peak_rss_mb,
    photo_sources,
    significant,
)
from benchmarks.paper import BATCH, PaperModel, embed_as_the_paper
from snake_assets.snakeclef.image_table import ingest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.embedding.tables import DCT, DINOV2

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# As facebook/dinov2-base; the class's other defaults are those of that model.
IMAGE_SIZE = 518
# Batches enough for the read-ahead to fill up, so that memory is at its height.
BATCHES_FOR_PEAK = 6
MATMUL_SECONDS = 2.0


def load(folder: Path, device: str, precision: str) -> Backbone:
    """The backbone of the pipeline, model loaded."""
    backbone = open_backbone(str(folder), device=device, precision=precision)
    _ = backbone.model
    return backbone


def image_table(sources: Sequence[Path], count: int, folder: Path) -> Table:
    """An `image_table` of `count` photos."""
    photos = lay_out(sources, count, folder / "raw")
    ingest(photos.rows, photos.files, "train", folder / "image_table" / "train")
    return open_table(folder / "image_table" / "train")


def pixel_batches(
    images: Table, backbone: Backbone, batch_size: int, most: int | None = None
) -> list[torch.Tensor]:
    """All photos (or those of the first shards, `most` or a few more) as the model takes them.

    float32 [B, 3, h, w] on its device.
    """
    batches: list[torch.Tensor] = []
    for shard in images.manifest.shards:
        if most is not None and sum(len(batch) for batch in batches) >= most:
            break
        for rows in images.batches(shard, ["image"], batch_size):
            photos = [backbone.preprocessing.resized(decode(data)) for data in rows["image"].to_pylist()]
            stacked = torch.stack([torch.from_numpy(photo) for photo in photos]).to(backbone.device)
            batches.append(backbone.preprocessing.pixel_values(stacked))
    return batches


def wait_for(device: str) -> None:
    """Let a device that works on its own finish, so that the clock sees what it did."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def forward_rate(backbone: Backbone, batches: Sequence[torch.Tensor]) -> float:
    """Photos per second of the forward pass alone."""
    wait_for(backbone.device)
    began = time.perf_counter()
    for batch in batches:
        backbone.see(batch)
    wait_for(backbone.device)
    return sum(len(batch) for batch in batches) / (time.perf_counter() - began)


@contextmanager
def thrown_away(work: Path) -> Iterator[Path]:
    """A fresh folder that is removed afterwards, outside of what is timed."""
    folder = Path(tempfile.mkdtemp(dir=work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def pipeline_rate(
    images: Table, backbone: Backbone, settings: EmbeddingSettings, work: Path
) -> tuple[float, float, float]:
    """Photos per second of the pipeline, the bytes it wrote and the processor's seconds per photo."""
    with thrown_away(work) as store:
        began, worked = time.perf_counter(), time.process_time()
        run = embed(images, {DINOV2: store / DINOV2, DCT: store / DCT}, backbone, settings)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
    rows = {manifest.rows_out for manifest in run.manifests.values()}
    if rows != {images.manifest.rows_out}:
        raise RuntimeError(f"the pipeline wrote {rows} of {images.manifest.rows_out} photos: the arms differ")
    written = sum(manifest.bytes for manifest in run.manifests.values())
    photos = images.manifest.rows_out
    return photos / seconds, written / photos, worked / photos


def pipeline_peak_rss_mb(
    images: Table, folder: Path, device: str, precision: str, settings: EmbeddingSettings, work: Path
) -> float:
    """The memory of a process that does nothing but the pipeline."""
    pipeline_rate(images, load(folder, device, precision), settings, work)
    return peak_rss_mb()


def paper_rate(images: Table, model: PaperModel, count: int, work: Path) -> tuple[float, float]:
    """Photos per second of the paper's recipe, and the bytes it wrote per photo."""
    with thrown_away(work) as folder:
        began = time.perf_counter()
        written = embed_as_the_paper(model, images, count, folder / "paper")
        return count / (time.perf_counter() - began), written / count


def matmul_arm(backbone: Backbone, config: Dinov2Config, batch_size: int) -> Callable[[], float]:
    """Measures TFLOP/s of the MLP's two products on random numbers, for about `MATMUL_SECONDS`."""
    rows = batch_size * (1 + math.prod(backbone.patch_grid))
    width, inner = config.hidden_size, int(config.hidden_size * config.mlp_ratio)
    dtype = DTYPES[backbone.precision]
    inputs, up, down = (
        torch.randn(shape).mul_(0.02).to(backbone.device, dtype)
        for shape in ((rows, width), (width, inner), (inner, width))
    )

    def seconds(repeats: int) -> float:
        wait_for(backbone.device)
        began = time.perf_counter()
        with torch.inference_mode():
            for _ in range(repeats):
                inputs @ up @ down
        wait_for(backbone.device)
        return time.perf_counter() - began

    seconds(3)
    repeats = max(3, math.ceil(MATMUL_SECONDS / (seconds(3) / 3)))
    return lambda: repeats * 4 * rows * width * inner / seconds(repeats) / 1e12


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=3)
    add_photo_options(parser)
    parser.add_argument("--photos", type=int, default=256, help="photos of the arms forward and pipeline")
    parser.add_argument("--paper-photos", type=int, default=32, help="photos of the arm paper")
    parser.add_argument(
        "--batch-size", type=int, default=None, help="photos in a batch; default: the pipeline's"
    )
    parser.add_argument("--layers", type=int, default=12, help="layers of the model; DINOv2-base has 12")
    parser.add_argument(
        "--compiled",
        default="always",
        choices=("always", "never"),
        help="as for a split of SnakeCLEF, or not",
    )
    parser.add_argument("--device", default="auto", help="as SNAKE_DEVICE")
    parser.add_argument("--precision", default="auto", help="as SNAKE_PRECISION")
    given = parser.parse_args(arguments)
    settings = EmbeddingSettings(batch_size=given.batch_size, compiled=given.compiled)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        model_folder = write_backbone(
            work / "dinov2-base", Dinov2Config(image_size=IMAGE_SIZE, num_hidden_layers=given.layers)
        )
        config = AutoConfig.from_pretrained(model_folder)
        backbone = load(model_folder, given.device, given.precision)
        batch_size = settings.photos_in_a_batch(backbone)
        paper = PaperModel.load(model_folder, backbone.device)
        sources = photo_sources(given.sources, [SNAKE_BOXES], work)
        images = image_table(sources.files, given.photos, work / "all")
        for_warm_up = image_table(sources.files, batch_size, work / "warm-up")
        for_peak = image_table(sources.files, min(given.photos, BATCHES_FOR_PEAK * batch_size), work / "peak")
        worked = time.process_time()
        batches = pixel_batches(images, backbone, batch_size)
        decode_cpu_s = (time.process_time() - worked) / given.photos
        flops = flops_per_photo(config, math.prod(backbone.patch_grid))
        print(
            f"{given.photos} {sources.origin} photos in batches of {batch_size}, {backbone.device}, "
            f"{backbone.precision}, {torch.get_num_threads()} threads, {flops / 1e9:.1f} GFLOP per photo",
            flush=True,
        )

        written: dict[str, float] = {}

        cpu_s: list[float] = []

        def pipeline() -> float:
            rate, written["pipeline"], seconds = pipeline_rate(images, backbone, settings, work)
            cpu_s.append(seconds)
            return rate

        def papers() -> float:
            rate, written["paper"] = paper_rate(images, paper, min(given.paper_photos, given.photos), work)
            return rate

        arms: dict[str, Callable[[], float]] = {
            "forward": lambda: forward_rate(backbone, batches),
            "pipeline": pipeline,
            "matmul": matmul_arm(backbone, config, batch_size),
            "paper": papers,
        }
        began = time.perf_counter()
        pipeline_rate(for_warm_up, backbone, settings, work)
        warm_up_s = time.perf_counter() - began
        forward_rate(backbone, batches[:1])
        paper_rate(for_warm_up, paper, min(BATCH, batch_size), work)
        measured = in_turn(arms, given.rounds, "img/s (matmul: TFLOP/s)")
        peak = in_fresh_process(
            pipeline_peak_rss_mb, for_peak, model_folder, given.device, given.precision, settings, work
        )
    achieved = [flops * rate / 1e12 for rate in measured["pipeline"]]
    return finish(
        {
            "forward_img_s": middle(measured["forward"]),
            "pipeline_img_s": middle(measured["pipeline"]),
            "paper_img_s": middle(measured["paper"]),
            **Ratio.of(measured["pipeline"], measured["forward"]).named("pipeline_over_forward"),
            **Ratio.of(measured["pipeline"], measured["paper"]).named("pipeline_over_paper"),
            "matmul_tflops": middle(measured["matmul"]),
            **Ratio.of(achieved, measured["matmul"]).named("model_flops_utilisation"),
            "cpu_s_per_image": middle(cpu_s),
            "decode_cpu_s_per_image": significant(decode_cpu_s),
            "gflop_per_image": significant(flops / 1e9),
            "peak_rss_mb": significant(peak),
            "bytes_per_image": significant(written["pipeline"]),
            "paper_bytes_per_image": significant(written["paper"]),
            "compiled": given.compiled == "always",
            "first_batch_s": significant(warm_up_s),
            "precision": backbone.precision,
            "device": backbone.device,
            "threads": torch.get_num_threads(),
            "batch_size": batch_size,
            "photos": sources.origin,
            "photo_count": given.photos,
            "rounds": given.rounds,
        }
    )


if __name__ == "__main__":
    main()
