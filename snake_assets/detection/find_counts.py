"""What a finder found in a split, in a few figures."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from snake_assets.storage.tables import Table
from snake_assets.vision.crop_table import BOX


@dataclass(frozen=True)
class FindCounts:
    """A split's finds.

    Attributes:
        photos: that the finder saw.
        without: of these, those without a find, which have the whole frame.
        with_more: of these, those with more than one find, of which the table has the best.
        median_score: of the photos with a find, 0 to 1; None where there is no find.
        median_area: of their boxes, as a share of the photo; None where there is no find.
        labels: what was found, in the finder's words -> photos, most frequent first.
    """

    photos: int
    without: int
    with_more: int
    median_score: float | None
    median_area: float | None
    labels: dict[str, int]

    @property
    def share_without(self) -> float:
        """Share of the photos without a find, 0 to 1; 0 where there is no photo."""
        return self.without / self.photos if self.photos else 0.0


def count_finds(crops: Table) -> FindCounts:
    """The finds of the `yolo_crops` of one split. Raises StorageError: a shard cannot be read."""
    rows = crops.read([*BOX, "score", "label", "finds"])
    finds = rows["finds"].to_numpy()
    found = rows.filter(pc.greater(rows["finds"], 0))
    x0, y0, x1, y1 = (found[side].to_numpy() for side in BOX)
    counted = {one["values"]: one["counts"] for one in found["label"].value_counts().to_pylist()}
    return FindCounts(
        photos=rows.num_rows,
        without=int((finds == 0).sum()),
        with_more=int((finds > 1).sum()),
        median_score=float(np.median(found["score"].to_numpy())) if found.num_rows else None,
        median_area=float(np.median((x1 - x0) * (y1 - y0))) if found.num_rows else None,
        labels=dict(sorted(counted.items(), key=lambda one: (-one[1], one[0]))),
    )
