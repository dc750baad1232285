"""A sheet of a split's photos with what a finder found in them."""

import numpy as np

from snake_assets.figures.box_sheet import BoxCell, DrawnBox, box_sheet
from snake_assets.storage.tables import Table
from snake_assets.vision.crop_table import regions_of
from snake_assets.vision.photos import decode
from snake_assets.vision.regions import Region
from snake_assets.vision.unreadable import UnreadablePhoto

SHOWN = 15
SIDE = 132


def crop_sheet(images: Table, crops: Table) -> bytes:
    """A WebP of up to 15 photos with their boxes and scores, evenly spread from the surest find to none.

    Args:
        images: the split's `image_table`.
        crops: the `yolo_crops` that were made of it.

    Raises:
        StorageError: a shard cannot be read.
    """
    scores = crops.read(["image_id", "score"])
    ranked = np.argsort(-scores["score"].to_numpy(), kind="stable")
    places = np.unique(np.linspace(0, max(0, len(ranked) - 1), min(SHOWN, len(ranked))).round().astype(int))
    shown = [scores["image_id"][place].as_py() for place in ranked[places].tolist()]
    photos = images.matching("image_id", shown, ["image_id", "image"])
    image_of = dict(zip(*(column.to_pylist() for column in photos.itercolumns()), strict=True))
    finds = crops.matching("image_id", shown, crops.schema.names)
    found = zip(regions_of(finds), finds["finds"].to_pylist(), strict=True)
    found_in = dict(zip(finds["image_id"].to_pylist(), found, strict=True))
    return box_sheet([_cell(image_of.get(name), *found_in[name]) for name in shown], "There is no photo.")


def _cell(image: bytes | None, region: Region, finds: int) -> BoxCell:
    try:
        photo = None if image is None else decode(image, at_least=SIDE)
    except UnreadablePhoto:
        photo = None
    if not finds:
        return BoxCell(photo, [], "no find")
    box = DrawnBox(region.x0, region.y0, region.x1, region.y1, f"{region.score:.2f}")
    return BoxCell(photo, [box], region.label)
