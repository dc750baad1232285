"""What is learnt from and what is judged on: enough of each, always the same, and no copy on both sides."""

from pathlib import Path

import numpy as np
import pytest

from snake_assets.detection.box_files import read_box_files
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.looks import BITS, alike, look_of
from snake_assets.detection.sides import Sides, split_sides, with_more_to_learn
from snake_assets_tests.detection.boxed import photo_file
from snake_assets_tests.vision.conftest import encode, picture


def names(photos) -> list[str]:
    return [photo.name for photo in photos]


def test_copies_look_alike_whatever_was_done_to_them_and_other_photos_do_not() -> None:
    original = picture(160, 120, 1)
    copies = [
        encode(original),
        encode(original.resize((80, 60)), quality=40),
        encode(original.transpose(0)),
        encode(original.point(lambda value: min(255, round(value * 1.15)))),
    ]
    others = [encode(picture(160, 120, seed)) for seed in range(2, 30)]
    pairs = alike([look_of(data) for data in [*copies, *others]])
    assert pairs.tolist() == [[i, j] for i in range(4) for j in range(i + 1, 4)]


def test_the_mirrored_look_is_that_of_the_mirrored_photo() -> None:
    photo = picture(90, 70, 3)
    straight, mirrored = look_of(encode(photo, "PNG"))
    again, back = look_of(encode(photo.transpose(0), "PNG"))
    assert straight.shape == (BITS,)
    assert (
        np.sum(mirrored != again) <= 1 and np.sum(straight != back) <= 1 and np.sum(straight != mirrored) > 8
    )


def test_a_share_is_held_out_and_one_more_photo_moves_hardly_any(tmp_path: Path) -> None:
    photos = [photo_file(tmp_path, f"{n:02}.jpg", n) for n in range(26)]
    sides = split_sides(photos[:25])
    assert (len(sides.training), len(sides.held_out), sides.alike, sides.left_out) == (20, 5, 0, ())
    assert sorted(names(sides.training) + names(sides.held_out)) == names(photos[:25])
    assert names(split_sides(photos[24::-1]).held_out) == names(sides.held_out)[::-1]
    assert names(split_sides(photos[:25], seed=1).held_out) != names(sides.held_out)
    moved = set(names(split_sides(photos).held_out)) ^ set(names(sides.held_out))
    assert len(moved) <= 2
    assert len(split_sides(photos, share=0.5).held_out) == 13


@pytest.mark.parametrize("seed", range(6))
def test_photos_that_repeat_each_other_stay_on_one_side(seed: int, tmp_path: Path) -> None:
    photos = [photo_file(tmp_path, f"{n:02}.jpg", n) for n in range(9)]
    photos += [
        photo_file(tmp_path, "00 again.jpg", 0),
        photo_file(tmp_path, "00 mirrored.jpg", 0, mirror=True),
        photo_file(tmp_path, "00 small.jpg", 0, quality=50),
    ]
    sides = split_sides(photos, share=0.4, seed=seed)
    assert sides.alike == 3
    together = [
        sum(name.startswith("00") for name in names(side)) for side in (sides.training, sides.held_out)
    ]
    assert sorted(together) == [0, 4]
    assert len(sides.held_out) <= 5


def test_of_official_sides_what_repeats_a_photo_held_out_is_not_learnt_from(tmp_path: Path) -> None:
    photos = [
        photo_file(tmp_path, "a.jpg", 1, side="train"),
        photo_file(tmp_path, "b.jpg", 2, side="train", mirror=True),
        photo_file(tmp_path, "c.jpg", 2, side="val"),
        photo_file(tmp_path, "d.jpg", 3, side="val"),
    ]
    sides = split_sides(photos)
    assert [names(side) for side in (sides.training, sides.held_out, sides.left_out)] == [
        ["a.jpg"],
        ["c.jpg", "d.jpg"],
        ["b.jpg"],
    ]


def test_photos_to_learn_from_do_not_repeat_those_held_out(tmp_path: Path) -> None:
    drawn = Sides((), (photo_file(tmp_path, "held.jpg", 1),), (), alike=0)
    more = [photo_file(tmp_path, "copy.jpg", 1, mirror=True), photo_file(tmp_path, "other.jpg", 2)]
    sides = with_more_to_learn(drawn, more)
    assert [names(side) for side in (sides.training, sides.held_out, sides.left_out)] == [
        ["other.jpg"],
        ["held.jpg"],
        ["copy.jpg"],
    ]


def test_without_a_box_to_judge_by_it_says_so(tmp_path: Path) -> None:
    photos = [photo_file(tmp_path, f"{n}.jpg", n, boxes=()) for n in range(4)]
    with pytest.raises(DetectionError, match="1 are held out, and none of them has a box"):
        split_sides(photos)


def test_a_photo_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    photos = [photo_file(tmp_path, f"{n}.jpg", n) for n in range(3)]
    photos[1].path.write_bytes(b"no photo")
    with pytest.raises(DetectionError, match=r"1\.jpg cannot be decoded"):
        split_sides(photos)


@pytest.mark.real
def test_of_the_real_boxes_31_photos_are_held_out(shared_data: Path) -> None:
    sides = split_sides(read_box_files(shared_data / "snake-boxes").photos)
    assert (len(sides.training), len(sides.held_out)) == (120, 31)
