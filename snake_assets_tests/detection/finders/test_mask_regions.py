"""Masks as regions: their tight box, and which are of a fair size."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from snake_assets.detection.finders.sam import may_be_a_snake, region_of_mask
from snake_assets.vision.preprocessing.crops import mask_from_bytes

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=20))


@given(MASKS, st.floats(-1, 2))
def test_the_box_of_a_mask_is_tight(mask: np.ndarray, score: float):
    region = region_of_mask(mask, score, "snake")
    if region is None:
        assert not mask.any()
        return
    height, width = mask.shape
    x0, x1 = round(region.x0 * width), round(region.x1 * width)
    y0, y1 = round(region.y0 * height), round(region.y1 * height)
    inside = mask[y0:y1, x0:x1]
    assert inside.sum() == mask.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    assert region.mask is not None and np.array_equal(mask_from_bytes(region.mask), mask)
    assert 0 <= region.score <= 1 and region.label == "snake"
    assert region.score == score or not 0 <= score <= 1


def test_specks_and_the_ground_are_no_snakes():
    masks = torch.zeros(5, 20, 50, dtype=torch.bool)
    for mask, pixels in zip(masks, (0, 4, 5, 800, 801), strict=True):
        mask.view(-1)[:pixels] = True
    assert may_be_a_snake(masks).tolist() == [False, False, True, True, False]
