"""The table `yolo_crops`: where in each photo the snake is, one row a photo."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.manifest import Shard
from snake_assets.storage.tables import Table
from snake_assets.vision.keys import DIGEST, unit_made_of
from snake_assets.vision.regions import Region

BOX = ["x0", "y0", "x1", "y1"]
# All but the keys: what a finder says of a photo, and what is copied where the photo is known.
FOUND = [*BOX, "score", "label", "finds", "mask"]
_REGION = [*BOX, "score", "label", "mask"]


def crop_schema(recipe: Mapping[str, Json]) -> pa.Schema:
    """Columns of the table; its metadata is the recipe, so that the table explains itself.

    `x0` to `y1` are shares of the upright photo's width and height; `finds` counts all that was found, of
    which the row is the best; without a find it has the whole frame and score 0. `mask` (masks.py) is null
    unless the finder cuts out pixels.
    """
    return pa.schema(
        [
            ("image_id", pa.string()),
            (DIGEST, pa.string()),
            *((side, pa.float32()) for side in BOX),
            ("score", pa.float32()),
            ("label", pa.string()),
            ("finds", pa.int32()),
            ("mask", pa.binary()),
        ],
        metadata={key: json.dumps(value) for key, value in recipe.items()},
    )


class Regions:
    """Looks up where the snake is, a shard of `image_table` at a time: no more than that is in memory."""

    def __init__(self, crops: Table) -> None:
        """For the `yolo_crops` of one split."""
        self._crops = crops
        self._shards = {shard.unit: shard for shard in crops.manifest.shards}

    def shard_for(self, images: Shard) -> Shard:
        """The shard of crops that was made of a shard of `image_table`; its digest says which crops they are.

        Raises:
            StorageError: the crops are of other photos.
        """
        found = self._shards.get(unit_made_of(images))
        if found is None:
            raise StorageError(
                f"{self._crops.folder} was made of other photos than {images.file} of the image_table holds "
                f"now: materialize {self._crops.manifest.table} for {self._crops.manifest.split} again."
            )
        return found

    def of(self, images: Shard) -> dict[str, Region]:
        """SHA-256 of a photo -> where the snake is, for all photos of a shard that the finder could read.

        Raises:
            StorageError: as `shard_for`, or the shard cannot be read.
        """
        rows = self._crops.read_shard(self.shard_for(images), [DIGEST, *_REGION])
        return dict(zip(rows[DIGEST].to_pylist(), regions_of(rows), strict=True))


def regions_of(rows: pa.Table) -> Sequence[Region]:
    """The regions of some rows of the table, in their order."""
    return [Region(*values) for values in zip(*(rows[name].to_pylist() for name in _REGION), strict=True)]
