"""The passes from photos to vectors in a process of their own, under limits; prints what they took."""

import argparse
import json
import resource
import shutil
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


def run() -> None:
    """Take the inventory of test, ingest it, and embed it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("--shard-rows", type=int, default=512)
    parser.add_argument("--files", type=int, help="open files that are allowed")
    parser.add_argument("--address-space", type=int, help="bytes that are allowed")
    asked = parser.parse_args()
    for limit, value in ((resource.RLIMIT_NOFILE, asked.files), (resource.RLIMIT_AS, asked.address_space)):
        if value:
            resource.setrlimit(limit, (value, value))
    raw, images = asked.store / "raw_images" / "test", asked.store / "image_table" / "test"
    take_inventory(asked.data, "test", raw)
    photos = read_inventory(open_table(raw), asked.data)
    rows = read_metadata(asked.data, "test", {})
    ingest(rows, photos, "test", images, asked.shard_rows)
    after_ingest = peak_memory_bytes()
    table = open_table(images)
    # Nine patches: photos are what is many here.
    backbone = open_backbone(asked.backbone, device="cpu", precision="fp32", view=View(resolution=42))
    _ = backbone.model
    before = peak_memory_bytes()
    folders = {name: asked.store / name / "test" for name in (DINOV2, DCT)}
    done = embed(table, folders, backbone, EmbeddingSettings())
    vectors = open_table(folders[DINOV2])
    print(  # noqa: T201
        json.dumps(
            {
                "shards": len(table.manifest.shards),
                "rows": vectors.read(["image_id"]).num_rows,
                "computed": done.computed,
                "ingest_mib": after_ingest >> 20,
                "model_mib": before >> 20,
                "peak_mib": peak_memory_bytes() >> 20,
                "seconds": round(done.seconds, 1),
            }
        )
    )
    shutil.rmtree(asked.store)


if __name__ == "__main__":
    run()
