"""Whether time and memory of the embedding pass stay flat as the set grows, with a cheap backbone.

The backbone is a DINOv2 of one layer, 768 wide, on 42 x 42 pixels: what is measured is everything around
the model, and the tables have rows as wide as the real ones. Photos are of 64 x 64 pixels, no two alike, in
shards of 512. The model has one thread, and is not compiled: that is a fixed cost of large sets alone.

Each size runs in a fresh process, which embeds a single photo first. That first pass (imports, opening and
loading the backbone, one shard) is `fixed_cost_s`, the median over all processes; `seconds_per_photo` is of
the second pass alone. The spreads are largest over smallest of all sizes, minus 1. `cpu_seconds_per_photo`
counts the processor's time, which other load on the machine disturbs less.
"""

import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.common import (
    PHILIPPINE_SNAKES,
    add_photo_options,
    finish,
    in_fresh_process,
    middle,
    options,
    peak_rss_mb,
    photo_sources,
    significant,
)
from benchmarks.tables import write_images
from snake_assets.storage.tables.table import open_table

SIZES = (2_000, 20_000, 100_000)
SIDE, EDGE, CROP = 64, 48, 42
DIFFERENT_PICTURES = 64


def small_photos(files: Sequence[Path]) -> list[bytes]:
    """Small JPEGs of some photos."""
    photos = []
    for path in files[:DIFFERENT_PICTURES]:
        encoded = io.BytesIO()
        Image.open(path).convert("RGB").resize((SIDE, SIDE)).save(encoded, "JPEG")
        photos.append(encoded.getvalue())
    return photos


def write_stub_backbone(folder: Path) -> Path:
    """Write a DINOv2 that does next to nothing: one layer, ten tokens."""
    from transformers import Dinov2Config

    from benchmarks.backbones import write_backbone

    config = Dinov2Config(num_hidden_layers=1, mlp_ratio=1, image_size=CROP)
    return write_backbone(folder, config, shortest_edge=EDGE, crop=CROP)


@dataclass(frozen=True)
class Costs:
    """What it cost a fresh process to embed one photo, and then many."""

    fixed_s: float
    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(one: Path, many: Path, backbone: Path, work: Path) -> Costs:
    """Embed one photo, then many."""
    began = time.perf_counter()
    # Part of the fixed cost: no user gets around these imports either.
    import torch

    from snake_assets.vision.backbone.backbone import open_backbone
    from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
    from snake_assets.vision.embedding.tables import DCT, DINOV2

    # Threads that wait for each other over tiny products would measure the machine's other load.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = open_backbone(str(backbone), device="cpu")

    def embed_into_fresh_store(images: Path) -> None:
        with tempfile.TemporaryDirectory(dir=work) as store:
            folders = {name: Path(store) / name for name in (DINOV2, DCT)}
            run = embed(open_table(images), folders, model, EmbeddingSettings(compiled="never"))
        if any(manifest.rejects for manifest in run.manifests.values()):
            raise RuntimeError("photos were rejected, which is faster than embedding them")

    embed_into_fresh_store(one)
    fixed, began, cpu_began = time.perf_counter() - began, time.perf_counter(), time.process_time()
    embed_into_fresh_store(many)
    costs = Costs(fixed, time.perf_counter() - began, time.process_time() - cpu_began, peak_rss_mb())
    torch.set_num_threads(threads)
    return costs


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=1)
    add_photo_options(parser)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="photos in the sets")
    given = parser.parse_args(arguments)
    costs: dict[int, list[Costs]] = {size: [] for size in given.sizes}
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        sources = photo_sources(given.sources, [PHILIPPINE_SNAKES], work)
        photos = small_photos(sources.files)
        backbone = write_stub_backbone(work / "stub")
        for size in (1, *given.sizes):
            write_images(photos, size, work / f"images-{size}")
        for number in range(given.rounds):
            for size in given.sizes:
                cost = in_fresh_process(measure, work / "images-1", work / f"images-{size}", backbone, work)
                costs[size].append(cost)
                print(
                    f"round {number + 1} of {given.rounds}: {size} photos, "
                    f"{1e3 * cost.seconds / size:.3f} ms per photo "
                    f"({1e3 * cost.cpu_seconds / size:.3f} of processor), "
                    f"{cost.peak_mb:.0f} MB, fixed {cost.fixed_s:.1f} s",
                    flush=True,
                )
    times = [middle([cost.seconds / size for cost in costs[size]]) for size in given.sizes]
    cpu_times = [middle([cost.cpu_seconds / size for cost in costs[size]]) for size in given.sizes]
    memory = [middle([cost.peak_mb for cost in costs[size]]) for size in given.sizes]
    return finish(
        {
            "sizes": list(given.sizes),
            "seconds_per_photo": times,
            "cpu_seconds_per_photo": cpu_times,
            "peak_rss_mb": memory,
            "spread_of_time": spread(times),
            "spread_of_cpu_time": spread(cpu_times),
            "spread_of_memory": spread(memory),
            "fixed_cost_s": middle([cost.fixed_s for size in given.sizes for cost in costs[size]]),
            "photos": sources.origin,
            "rounds": given.rounds,
        }
    )


def spread(values: Sequence[float]) -> float:
    """Largest over smallest, minus 1."""
    return significant(max(values) / min(values) - 1)


if __name__ == "__main__":
    main()
