"""Photos with boxes: what is read is what stands there, and whatever is wrong is named by file and line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.detection.box_files import pixels_of, read_box_files
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.label_text import LabelledBox, label_text, parse_labels
from snake_assets_tests.detection.boxed import MARK, label_line, write_boxes
from snake_assets_tests.vision.conftest import encode, picture

PHOTO = encode(picture(20, 16))
LINE = label_line(MARK)


@st.composite
def boxes(draw: st.DrawFn) -> LabelledBox:
    sides = [sorted(draw(st.lists(st.integers(0, 1000), min_size=2, max_size=2, unique=True))) for _ in "xy"]
    (x0, x1), (y0, y1) = [[side / 1000 for side in pair] for pair in sides]
    return LabelledBox(draw(st.integers(0, 80)), x0, y0, x1, y1)


@given(st.lists(boxes(), unique=True))
def test_boxes_come_back_from_their_text(drawn: list[LabelledBox]) -> None:
    read, wrong = parse_labels(label_text(drawn))
    assert not wrong
    assert [box.number for box in read] == [box.number for box in drawn]
    for before, after in zip(drawn, read, strict=True):
        assert np.allclose(
            [before.x0, before.y0, before.x1, before.y1], [after.x0, after.y0, after.x1, after.y1], atol=1e-8
        )


@given(st.text("0123456789.-+einfa \n\t\x00x", max_size=80))
def test_whatever_the_text_each_line_is_a_sound_box_or_a_fault(text: str) -> None:
    read, wrong = parse_labels(text)
    assert len(read) + len(wrong) == sum(bool(line.strip()) for line in text.splitlines())
    for box in read:
        assert 0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 and box.number >= 0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0 0.5 0.5 0.5", "4 numbers instead of 5"),
        ("0 0.5 0.5 0.5 0.5 0.9", "6 numbers instead of 5"),
        ("-1 0.5 0.5 0.5 0.5", "class is '-1'"),
        ("snake 0.5 0.5 0.5 0.5", "class is 'snake'"),
        ("0 nan 0.5 0.5 0.5", "centre x is nan"),
        ("0 0.5 inf 0.5 0.5", "centre y is inf"),
        ("0 0.5 0.5 1.5 0.5", "width is 1.5"),
        ("0 0.5 0.5 0.5 -0.5", "height is -0.5"),
        ("0 0.5 0.5 0.5 tall", "height is 'tall', not a number"),
        ("0 0.1 0.5 0.5 0.5", "beyond the photo"),
        ("0 0.5 0.5 0 0.5", "no area"),
        (LINE.strip(), "twice"),
    ],
)
def test_a_fault_is_named_by_file_and_line(line: str, fault: str, tmp_path: Path) -> None:
    folder = write_boxes(tmp_path, {"a.jpg": (PHOTO, LINE), "b.jpg": (PHOTO, f"{LINE}\n{line}\n")})
    with pytest.raises(DetectionError, match=rf"labels/b\.txt, line 3: .*{fault}"):
        read_box_files(folder)


def test_a_box_that_rounding_put_over_the_edge_is_cut_to_the_photo() -> None:
    ((box,), wrong) = parse_labels("0 0.25 0.5 0.506 1")
    assert not wrong
    assert (box.x0, box.y0, box.y1) == (0, 0, 1) and box.x1 == pytest.approx(0.503)


def test_photos_with_and_without_a_snake(tmp_path: Path) -> None:
    photos = {
        "a.jpg": (PHOTO, f"\ufeff{LINE}{label_line((0, 0, 0.5, 0.5), 7)}"),
        "b.JPG": (PHOTO, None),
        "c.png": (encode(picture(20, 16, 1), "PNG"), "\n"),
    }
    folder = write_boxes(tmp_path, photos)
    (folder / "labels" / "classes.txt").write_text("snake\n")
    (folder / "images" / ".DS_Store").write_bytes(b"")
    read = read_box_files(folder)
    assert [photo.name for photo in read.photos] == ["a.jpg", "b.JPG", "c.png"]
    assert read.photos[0].boxes.tolist() == [list(MARK), [0, 0, 0.5, 0.5]]
    assert [photo.boxes.shape for photo in read.photos[1:]] == [(0, 4), (0, 4)]
    assert (read.without_label_file, read.empty, dict(read.classes)) == (("b.JPG",), ("c.png",), {0: 1, 7: 1})
    assert {photo.side for photo in read.photos} == {None}
    assert pixels_of(read.photos[0], 10).shape == (8, 10, 3)


def test_the_digest_is_of_all_that_is_learnt_from(tmp_path: Path) -> None:
    folder = write_boxes(tmp_path, {"a.jpg": (PHOTO, LINE), "b.jpg": (PHOTO, None)})
    first = read_box_files(folder).digest
    assert read_box_files(folder).digest == first
    (folder / "labels" / "b.txt").write_text(LINE)
    second = read_box_files(folder).digest
    (folder / "images" / "b.jpg").write_bytes(encode(picture(20, 16, 1)))
    assert len({first, second, read_box_files(folder).digest}) == 3


def test_official_sides_are_kept(tmp_path: Path) -> None:
    folder = write_boxes(tmp_path, {"train/a.jpg": (PHOTO, LINE), "val/x/a.jpg": (PHOTO, LINE)})
    read = read_box_files(folder)
    assert {photo.name: photo.side for photo in read.photos} == {"train/a.jpg": "train", "val/x/a.jpg": "val"}
    assert all(len(photo.boxes) == 1 for photo in read.photos)


@pytest.mark.parametrize(
    ("photos", "faults"),
    [
        ({"a.jpg": (PHOTO, LINE), "notes.md": (b"", None)}, ["images/notes.md: is no photo by its name"]),
        ({"a.jpg": (PHOTO, LINE), "more/b.jpg": (PHOTO, None)}, ["images/more: is a folder"]),
        ({"a.jpg": (PHOTO, LINE), "a.png": (PHOTO, LINE)}, ["images/a.png: has the label file of a.jpg"]),
        ({"a.jpg": (PHOTO[:300], LINE)}, ["images/a.jpg: cannot be read"]),
        ({"train/a.jpg": (PHOTO, LINE)}, ["images/val: has no photo"]),
        ({"val/a.jpg": (PHOTO, LINE), "b.jpg": (PHOTO, None)}, ["images/b.jpg: beside"]),
        ({"a.jpg": (PHOTO, "0 1\n0 2\n"), "b.jpg": (b"", LINE)}, ["line 1", "line 2", "images/b.jpg"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_files_that_do_not_belong_there_are_named(photos, faults: list[str], tmp_path: Path) -> None:
    with pytest.raises(DetectionError) as raised:
        read_box_files(write_boxes(tmp_path, photos))
    assert f"{len(faults)} faults" in str(raised.value)
    for fault in faults:
        assert fault in str(raised.value)


def test_labels_without_a_photo_or_that_are_no_text_are_named(tmp_path: Path) -> None:
    folder = write_boxes(tmp_path, {"a.jpg": (PHOTO, LINE)})
    (folder / "labels" / "a.txt").write_bytes(b"\xff\xfe0")
    (folder / "labels" / "gone.txt").write_text(LINE)
    with pytest.raises(
        DetectionError, match=r"(?s)labels/a\.txt: cannot be read.*labels/gone\.txt: there is no"
    ):
        read_box_files(folder)


@pytest.mark.parametrize("there", [{}, {"a.jpg": (PHOTO, None)}])
def test_a_folder_without_photos_or_boxes_is_refused(there, tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match=r"no folder images|no box"):
        read_box_files(write_boxes(tmp_path, there))
    (tmp_path / "empty" / "images").mkdir(parents=True)
    with pytest.raises(DetectionError, match="holds no photo"):
        read_box_files(tmp_path / "empty")
