"""Masks: back from their bytes as they were, damage told of, and backgrounds taken away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from snake_assets.vision.preprocessing.crops import (
    MaskError,
    mask_from_bytes,
    mask_to_bytes,
    without_background,
)

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(MASKS)
def test_bytes_give_the_mask_back(mask: np.ndarray):
    again = mask_from_bytes(mask_to_bytes(mask))
    assert again.dtype == np.bool_
    assert np.array_equal(again, mask)


def test_the_largest_mask_is_small():
    noise = np.random.default_rng(0).random((1024, 1024)) < 0.5
    assert len(mask_to_bytes(noise)) < 140_000
    snake = np.zeros((1024, 1024), dtype=bool)
    snake[300:500, 100:900] = True
    assert len(mask_to_bytes(snake)) < 1_000


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1025, 2), (2, 2, 2), (4,)])
def test_what_is_no_mask_is_not_kept(shape: tuple[int, ...]):
    with pytest.raises(MaskError, match="sides are 1 to 1024"):
        mask_to_bytes(np.ones(shape, dtype=bool))


@given(MASKS, st.data())
def test_cut_or_changed_bytes_are_refused(mask: np.ndarray, data: st.DataObject):
    whole = mask_to_bytes(mask)
    cut = data.draw(st.integers(0, len(whole) - 13))  # what is behind the data's end says nothing
    with pytest.raises(MaskError, match="cannot be read"):
        mask_from_bytes(whole[:cut])
    place = data.draw(st.integers(0, len(whole) - 13))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(MaskError):
        mask_from_bytes(bytes(changed))


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(MaskError, match="materialize it again"):
        mask_from_bytes(data)


def test_only_the_background_changes():
    rgb = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:15, 10:20] = True
    inside = np.kron(mask, np.ones((2, 2), dtype=bool))
    assert without_background(rgb, mask, "keep") is rgb
    grey = without_background(rgb, mask, "grey")
    blurred = without_background(rgb, mask, "blur")
    for changed in (grey, blurred):
        assert changed.dtype == np.uint8
        assert (changed[inside] == rgb[inside]).all()
    assert (grey[~inside] == 127).all()
    assert blurred[~inside].std() < rgb[~inside].std() / 2
