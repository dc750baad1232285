"""The passes from photos to vectors in a process of their own, under limits; prints what they took."""

import json
import resource
import sys
from pathlib import Path

from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import read_metadata
from snake_assets.snakeclef.raw.inventory import read_inventory, take_inventory
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.embedding.tables import DCT, DINOV2
from snake_assets.vision.inference.runner import peak_memory_bytes
from snake_assets.vision.preprocessing.transforms import View


def run(data: Path, store: Path, model: str, shard_rows: int, files: int, address_space: int) -> None:
    """Take the inventory of test, ingest it, and embed it, with so many files open and so many bytes."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    raw, images = store / "raw_images" / "test", store / "image_table" / "test"
    take_inventory(data, "test", raw)
    photos = read_inventory(open_table(raw), data)
    ingest(read_metadata(data, "test", {}), photos, "test", images, shard_rows)
    table = open_table(images)
    # Nine patches: photos are what is many here.
    backbone = open_backbone(model, device="cpu", precision="fp32", view=View(resolution=42))
    folders = {name: store / name / "test" for name in (DINOV2, DCT)}
    computed = embed(table, folders, backbone, EmbeddingSettings()).computed
    told = {
        "shards": len(table.manifest.shards),
        "rows": open_table(folders[DINOV2]).read(["image_id"]).num_rows,
        "computed": computed,
        "peak_mib": peak_memory_bytes() >> 20,
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
