"""What a crop shows, of which photos it is, and the mask of its animal."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.preprocessing.crops import (
    GREY,
    CropInput,
    CropSettings,
    MaskError,
    mask_from_bytes,
    mask_to_bytes,
    window_around,
    without_background,
)
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region
from snake_assets.vision.preprocessing.transforms import Preprocessing
from snake_assets_tests.vision.boxes import box
from snake_assets_tests.vision.conftest import encode, mean_difference, picture

CENTRE_CROP = Preprocessing(
    resize=64, resample=3, crop=(56, 56), rescale_factor=1 / 255, mean=(0.5,) * 3, std=(0.5,) * 3
)
SQUASHED = replace(CENTRE_CROP, resize=(64, 64), crop=None)
PLAIN = CropSettings(margin=0.0, least_side=1)
SIDES = st.integers(1, 400) | st.sampled_from([20_000])


@st.composite
def boxes(draw: st.DrawFn) -> Region:
    def edges() -> list[float]:
        return sorted(np.float32(draw(st.floats(0, 1))).item() for _ in range(2))

    (x0, x1), (y0, y1) = edges(), edges()
    return box(x0, y0, max(x1, x0 + 1e-6), max(y1, y0 + 1e-6))


@given(boxes(), SIDES, SIDES, st.floats(0, 1), st.integers(1, 100))
def test_the_window_is_in_the_frame_and_holds_the_box(
    region: Region, height: int, width: int, margin: float, least: int
):
    window = window_around(region, (height, width), CropSettings(margin=margin, least_side=least))
    assert window.top >= 0 and window.top + window.height <= height
    assert window.left >= 0 and window.left + window.width <= width
    assert window.width >= min(least, width) and window.height >= min(least, height)
    # Half a pixel is lost to rounding at most.
    assert window.left <= region.x0 * width + 1 and window.left + window.width >= region.x1 * width - 1
    assert window.top <= region.y0 * height + 1 and window.top + window.height >= region.y1 * height - 1
    assert window.height == window.width or min(height, width) < max(window.height, window.width)


def test_the_margin_is_kept_where_there_is_room_and_moved_where_there_is_none():
    settings = CropSettings(margin=0.25, least_side=1)
    middle = window_around(box(0.4, 0.45, 0.6, 0.55), (100, 100), settings)
    assert (middle.left, middle.top, middle.width, middle.height) == (35, 35, 30, 30)
    corner = window_around(box(0.0, 0.9, 0.2, 1.0), (100, 100), settings)
    assert (corner.left, corner.top, corner.width, corner.height) == (0, 70, 30, 30)
    wide = window_around(box(0.0, 0.4, 1.0, 0.6), (50, 100), settings)
    assert (wide.left, wide.top, wide.width, wide.height) == (0, 0, 100, 50)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 50), (50, 20_000), (3, 2)])
@pytest.mark.parametrize("preprocessing", [CENTRE_CROP, SQUASHED])
@pytest.mark.parametrize("region", [WHOLE_FRAME, box(0, 0.5, 0.001, 1), box(0, 0, 1, 0.9)])
def test_photos_of_any_shape_have_a_crop(size: tuple[int, int], preprocessing: Preprocessing, region: Region):
    data = encode(Image.new("RGB", size, (10, 200, 30)), "PNG")
    cut = CropInput(preprocessing, CropSettings()).prepared(data, region)
    assert cut.shape == (*preprocessing.input_size, 3)
    # A strip that is fitted in is a line between its bands.
    assert np.abs(cut.astype(int) - (10, 200, 30)).max(axis=2).min() <= 1


def test_nothing_of_the_window_is_cut_off():
    photo = np.zeros((200, 400, 3), np.uint8)
    photo[50:150, 100:300] = 255  # the box: fills the window from side to side, and half of its height
    data = encode(Image.fromarray(photo), "PNG")
    cut = CropInput(CENTRE_CROP, PLAIN).prepared(data, box(0.25, 0.25, 0.75, 0.75))
    assert (cut[28] > 250).all() and (cut[:8] < 60).all() and (cut[-8:] < 60).all()


def test_a_window_that_is_no_square_is_fitted_in_or_squashed_as_photos_are():
    data = encode(Image.new("RGB", (300, 100), "white"), "PNG")
    wide = box(0, 0, 0.99, 1)
    banded = CropInput(CENTRE_CROP, PLAIN).prepared(data, wide)
    assert (banded[:15] < 200).all() and (banded[28] == 255).all() and (banded[-15:] < 200).all()
    assert (CropInput(SQUASHED, PLAIN).prepared(data, wide) == 255).all()


@pytest.mark.parametrize("side", [0.5, 0.2])
def test_a_jpeg_is_decoded_large_enough_for_its_window(side: float):
    data = encode(picture(1600, 1200))
    region = box(0.25, 0.25, 0.25 + side, 0.25 + side)
    full = window_around(region, (1200, 1600), PLAIN).cut(decode(data))
    expected = replace(CENTRE_CROP, resize=(56, 56), crop=None).resized(np.ascontiguousarray(full))
    cut = CropInput(CENTRE_CROP, PLAIN).prepared(data, region)
    assert mean_difference(cut, expected) < 1.5
    if side == 0.5:
        quarter = decode(data, at_least=2 * 56 * 2)
        assert quarter.shape[:2] == (300, 400), (
            "the window is cut from a smaller decode, not from 1600 x 1200"
        )
        small = window_around(region, (300, 400), PLAIN).cut(quarter)
        assert (cut == replace(CENTRE_CROP, resize=(56, 56), crop=None).resized(small.copy())).all()


def test_a_mask_lies_where_its_box_is_cut():
    photo = encode(Image.new("RGB", (100, 100), "white"), "PNG")
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:50] = True
    half = box(0.4, 0.4, 0.6, 0.6, mask=mask_to_bytes(mask))
    grey = CropInput(replace(SQUASHED, resize=(20, 20)), CropSettings(0.0, "grey", 1)).prepared(photo, half)
    assert (grey[:, :10] == 255).all() and (grey[:, 10:] == GREY).all()
    whole = replace(WHOLE_FRAME, mask=mask_to_bytes(mask))
    assert (CropInput(SQUASHED, CropSettings(background="grey")).prepared(photo, whole) == GREY).any()


def test_a_damaged_mask_is_named_and_a_useless_setting_refused():
    photo = encode(picture(30, 30))
    with pytest.raises(MaskError, match="remove the table"):
        CropInput(SQUASHED, CropSettings(background="blur")).prepared(photo, box(0, 0, 0.5, 1, mask=b"no"))
    for wrong in ({"margin": -0.1}, {"margin": 5}, {"background": "pink"}, {"least_side": 0}):
        with pytest.raises(EmbeddingError):
            CropSettings(**wrong)


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
