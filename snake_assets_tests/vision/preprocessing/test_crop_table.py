"""The table of crops, as those read it who cut by it."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from snake_assets.storage.errors import StorageError
from snake_assets.storage.tables.manifest import Shard
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region, Regions, crop_schema, unit_made_of

PHOTOS = [Shard(f"part-0000{n}.parquet", str(n), 1, 1, f"digest {n}") for n in range(3)]
ROWS = [
    [("a", "aa", 0.25, 0.5, 0.75, 1.0, 0.5, "snake", 2, b"mask"), ("b", "bb", 0, 0, 1, 1, 0, "", 0, None)],
    [("c", "aa", 0.25, 0.5, 0.75, 1.0, 0.5, "snake", 2, b"mask")],
]


@pytest.fixture
def crops(tmp_path: Path) -> Table:
    schema = crop_schema({"finder": "by hand", "threshold": 0.25})
    with write_table(tmp_path, "yolo_crops", "val", schema, {"finder": "by hand"}) as writer:
        for photos, rows in zip(PHOTOS, ROWS, strict=False):
            table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
            writer.write(unit_made_of(photos), table.to_batches())
        writer.commit([unit_made_of(photos) for photos in PHOTOS[:2]])
    return open_table(tmp_path)


def test_regions_are_found_by_shard_and_digest(crops: Table):
    regions = Regions(crops)
    found = Region(0.25, 0.5, 0.75, 1.0, 0.5, "snake", b"mask")
    assert regions.of(PHOTOS[0]) == {"aa": found, "bb": WHOLE_FRAME}
    assert regions.of(PHOTOS[1]) == {"aa": found}
    assert regions.shard_for(PHOTOS[1]) == crops.manifest.shards[1]


def test_crops_of_other_photos_are_refused(crops: Table):
    with pytest.raises(StorageError, match="materialize yolo_crops for val again"):
        Regions(crops).of(PHOTOS[2])


def test_the_table_explains_itself(crops: Table):
    told = {key.decode(): json.loads(value) for key, value in crops.schema.metadata.items()}
    assert told == {"finder": "by hand", "threshold": 0.25}
    assert crops.schema.field("mask").nullable
    assert {str(crops.schema.field(side).type) for side in ("x0", "y0", "x1", "y1", "score")} == {"float"}
