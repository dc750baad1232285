"""From the masks of a photo to regions, and which of many masks may be a snake."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.masks import mask_to_bytes
from snake_assets.vision.regions import Region

if TYPE_CHECKING:
    import torch

# A mask that covers less is a speck, one that covers more is the ground.
LEAST_SHARE = 0.005
MOST_SHARE = 0.8


def region_of_mask(mask: NDArray[np.bool_], score: float, label: str) -> Region | None:
    """The tight box of a mask, with the mask; None where the mask is empty.

    Args:
        mask: bool [h, w] over the whole photo, both 1 to 1024.
        score: 0 to 1; what is beyond is cut.
        label: what it shows.
    """
    if not mask.any():
        return None
    height, width = mask.shape
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return Region(
        float(columns[0]) / width,
        float(rows[0]) / height,
        (float(columns[-1]) + 1) / width,
        (float(rows[-1]) + 1) / height,
        score=min(1.0, max(0.0, score)),
        label=label,
        mask=mask_to_bytes(mask),
    )


def may_be_a_snake(masks: "torch.Tensor") -> "torch.Tensor":
    """Which of some masks, bool [n, h, w], cover between 0.5 % and 80 % of their photo: bool [n]."""
    shares = masks.float().mean((1, 2))
    return (shares >= LEAST_SHARE) & (shares <= MOST_SHARE)
