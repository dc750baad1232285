"""What is kept of a photo's finds: the best, within the frame, and always something to cut by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.detection.finders.base import best_find
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region

ANY = st.floats(width=64) | st.floats(-0.5, 1.5)


def region(x0: float, y0: float, x1: float, y1: float, score: float = 0.5) -> Region:
    return Region(x0, y0, x1, y1, score, "snake")


def test_the_best_wins_the_first_of_equals_and_what_is_beyond_the_frame_is_cut():
    ten = [region(0, 0, 1, (n + 1) / 16, score=(n * 3 % 10) / 16) for n in range(10)]
    assert (best_find(ten).region, best_find(ten).finds) == (ten[3], 10)
    assert best_find([region(0, 0, 0.5, 1), region(0.5, 0, 1, 1)]).region.x0 == 0
    assert best_find([region(-0.5, 0.25, 2.0, 1.5)]).region == region(0, 0.25, 1, 1)


@given(st.lists(st.builds(region, ANY, ANY, ANY, ANY, ANY), max_size=6))
def test_a_row_always_has_an_area_within_the_frame(finds: list[Region]):
    found = best_find(finds)
    sides = np.array([found.region.x0, found.region.y0, found.region.x1, found.region.y1], np.float32)
    assert (sides >= 0).all() and (sides <= 1).all()
    assert sides[0] < sides[2] and sides[1] < sides[3]
    assert 0 <= found.region.score <= 1
    assert 0 <= found.finds <= len(finds)
    assert (found.region == WHOLE_FRAME) or found.finds
