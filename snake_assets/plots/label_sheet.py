"""A sheet of photos that a finder drew boxes on, for a person to review."""

from collections.abc import Sequence

import numpy as np

from snake_assets.detection.auto_labels import LabelledPhoto
from snake_assets.detection.box_files import pixels_of
from snake_assets.plots.photo_sheets import TILE, BoxCell, DrawnBox, box_sheet

SHOWN = 20


def label_sheet(labelled: Sequence[LabelledPhoto]) -> bytes:
    """A WebP of up to 20 photos, evenly spread from the least sure box to the surest.

    Raises:
        DetectionError: a photo cannot be read any more.
    """
    ranked = sorted(labelled, key=lambda one: one.finds[-1].score)
    places = np.unique(np.linspace(0, max(0, len(ranked) - 1), min(SHOWN, len(ranked))).round().astype(int))
    return box_sheet(
        [_cell(ranked[place]) for place in places.tolist()], "The finder drew no box on any photo."
    )


def _cell(one: LabelledPhoto) -> BoxCell:
    drawn = [DrawnBox(find.x0, find.y0, find.x1, find.y1, f"{find.score:.2f}") for find in one.finds]
    return BoxCell(pixels_of(one.photo, 2 * TILE), drawn, one.photo.name)
