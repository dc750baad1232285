"""Where in a photo the snake is: what finders find, and what crops are cut by."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.tables.manifest import Shard
from snake_assets.storage.tables.table import Table

CROPS = "yolo_crops"
# Columns: of a photo's file, and of that and the part that is cut from it.
DIGEST, REGION = "sha256", "region"


@dataclass(frozen=True)
class Region:
    """A part of a photo. Coordinates are shares of the upright photo's width and height, from its top left.

    Attributes:
        x0: left edge, 0 to 1.
        y0: top edge, 0 to 1.
        x1: right edge, 0 to 1, above `x0`.
        y1: bottom edge, 0 to 1, above `y0`.
        score: how sure the finder is, 0 to 1; 0 for the whole frame where nothing was found.
        label: what the finder says it is, in its own words; empty for the whole frame.
        mask: which pixels within the photo belong to it, as bytes (crops.py); None where only a box is known.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    label: str
    mask: bytes | None = None


WHOLE_FRAME = Region(0.0, 0.0, 1.0, 1.0, score=0.0, label="")


def region_digest(photo: str, region: Region | None) -> str:
    """What a cut photo is known by: its file's SHA-256, the box and the mask; who found it plays no part.

    Args:
        photo: SHA-256 of the file.
        region: what is cut from it; None where no finder could read the photo.
    """
    if region is None:
        return fingerprint([photo, None])
    mask = hashlib.sha256(region.mask).hexdigest() if region.mask is not None else None
    return fingerprint([photo, [region.x0, region.y0, region.x1, region.y1], mask])


def unit_made_of(shard: Shard) -> str:
    """The unit of a shard that a pass makes of one of `image_table`."""
    return fingerprint(shard.sha256)


# The table `yolo_crops`: where in each photo the snake is, one row a photo.
BOX = ["x0", "y0", "x1", "y1"]
_REGION = [*BOX, "score", "label", "mask"]


def crop_schema(recipe: Mapping[str, Json]) -> pa.Schema:
    """Columns of the table; its metadata is the recipe, so that the table explains itself.

    `x0` to `y1` are shares of the upright photo's width and height; `finds` counts all that was found, of
    which the row is the best; without a find it has the whole frame and score 0. `mask` (crops.py) is null
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
