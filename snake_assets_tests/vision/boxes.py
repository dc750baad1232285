"""Tables of crops written by hand: which box is in which photo, and which photos no finder could read."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.manifest import Reject
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.preprocessing.regions import CROPS, WHOLE_FRAME, Region, crop_schema, unit_made_of


def box(x0: float, y0: float, x1: float, y1: float, score: float = 0.5, mask: bytes | None = None) -> Region:
    """As the table keeps it, in float32."""
    x0, y0, x1, y1 = np.float32([x0, y0, x1, y1]).tolist()
    return Region(x0, y0, x1, y1, score, "snake", mask)


def write_crops(
    folder: Path,
    images: Table,
    regions: Mapping[str, Region],
    rejects: Collection[str] = (),
    recipe: Mapping[str, Json] | None = None,
) -> Table:
    """The crops of an `image_table`; photos that `regions` does not name have the whole frame."""
    recipe = recipe or {"finder": "by hand"}
    schema = crop_schema(recipe)
    units = [unit_made_of(shard) for shard in images.manifest.shards]
    with write_table(folder, CROPS, images.manifest.split, schema, recipe) as writer:
        for shard, unit in zip(images.manifest.shards, units, strict=True):
            rows = images.read_shard(shard, ["image_id", "sha256"]).to_pylist()
            kept = [
                {**row, **vars(regions.get(row["image_id"], WHOLE_FRAME)), "finds": 1}
                for row in rows
                if row["image_id"] not in rejects
            ]
            refused = [
                Reject(row["image_id"], "truncated", "cut short")
                for row in rows
                if row["image_id"] in rejects
            ]
            writer.write(unit, pa.Table.from_pylist(kept, schema).to_batches(), refused)
        writer.commit(units)
    return open_table(folder)
