"""Boxes of every tool; whatever is wrong is named by file and line; copies of a photo stay together."""

import json
from pathlib import Path

import numpy as np
import pytest

from snake_assets.detection.box_files import BoxFiles, hold_out, read_box_files
from snake_assets.detection.finders.base import DetectionError
from snake_assets_tests.detection.boxed import MARK, label_line, write_files
from snake_assets_tests.vision.conftest import encode, picture

PHOTO, OTHER = encode(picture(40, 20)), encode(picture(40, 20, 1))
LINE = label_line(MARK)
COCO = {
    "images": [
        {"id": 7, "file_name": "C:\\shots\\a.jpg", "width": 40, "height": 20},
        {"id": 8, "file_name": "b.jpg", "width": 80, "height": 40},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 0, "bbox": [10, 5, 20, 10]},
        {"id": 2, "image_id": 7, "category_id": 0, "bbox": [0, 0, 40, 20], "iscrowd": 1},
    ],
    "categories": [{"id": 0, "name": "snake"}],
}
VOC = (
    "<annotation><filename>x.jpg</filename><size><width>40</width><height>20</height></size><object>"
    "<name>snake</name><bndbox><xmin>10</xmin><ymin>5</ymin><xmax>30</xmax><ymax>15</ymax></bndbox>"
    "</object></annotation>"
)
CVAT = (
    '<annotations><image name="a.jpg" width="40" height="20"><box label="snake" xtl="10" ytl="5" xbr="30" '
    'ybr="15"/></image><image name="b.jpg" width="40" height="20"/></annotations>'
)
TWO = {"images/a.jpg": PHOTO, "images/b.jpg": OTHER}
LAYOUTS = {
    "yolo": TWO | {"labels/a.txt": LINE, "labels/classes.txt": "snake"},
    "one folder": {"a.JPG": PHOTO, "b.JPEG": OTHER, "a.TXT": LINE, "Thumbs.db": b"\0", "b.txt": ""},
    "confidence and 0.0": {"a.jpg": PHOTO, "b.jpg": OTHER, "a.txt": "0.0 0.5 0.5 0.5 0.5 0.93\n"},
    "polygon": TWO | {"labels/a.txt": "0 .25 .25 .75 .25 .75 .75 .5 .75"},
    "coco": TWO | {"annotations/instances_default.json": json.dumps(COCO)},
    "voc": {"JPEGImages/a.jpg": PHOTO, "JPEGImages/b.jpg": OTHER, "Annotations/a.xml": VOC},
    "cvat": TWO | {"annotations.xml": CVAT, "labels.json": "{}"},
    "cvat's yolo": {
        "obj_train_data/a.jpg": PHOTO,
        "obj_train_data/b.jpg": OTHER,
        "obj_train_data/a.txt": LINE,
        "train.txt": "obj_train_data/a.jpg",
        "obj.names": "snake",
    },
}


def read(folder: Path, **files: bytes | str) -> BoxFiles:
    return read_box_files(write_files(folder, files))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_of_every_tool_are_the_same(tmp_path: Path, layout: str) -> None:
    found = read(tmp_path, **LAYOUTS[layout])
    a, b = found.photos
    assert np.allclose(a.boxes, [MARK]) and b.boxes.shape == (0, 4)
    assert Path(a.name).stem == "a" and a.held_out is None
    assert sum(found.classes.values()) == 1
    assert not {"a.TXT", "labels/a.txt"} & set(found.not_read)


def test_folders_of_roboflow_say_what_is_held_out(tmp_path: Path) -> None:
    files = {
        f"{side}/{kind}/a.{end}": content
        for side, photo in (("train", PHOTO), ("valid", OTHER), ("test", PHOTO))
        for kind, end, content in (("images", "jpg", photo), ("labels", "txt", LINE))
    }
    found = read(tmp_path, **files, **{"data.yaml": "nc: 1", "README.roboflow.txt": "words"})
    assert [photo.held_out for photo in found.photos] == [True, False, True]
    assert all(len(photo.boxes) == 1 for photo in found.photos)
    (tmp_path / "stray.jpg").write_bytes(PHOTO)
    with pytest.raises(DetectionError, match=r"stray\.jpg: lies in none of the folders train"):
        read_box_files(tmp_path)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0 0.5 0.5 0.5", "4 numbers instead of 5"),
        ("0 .1 .1 .2 .1 .2 .2 .1", "8 numbers instead of 5"),
        ("snake 0.5 0.5 0.5 0.5", "class is 'snake'"),
        ("0 0,5 0,5 0,5 0,5", "'0,5' is not a number"),
        ("0 nan 0.5 0.5 0.5", "nan is not a share"),
        ("0 0.9 0.5 0.5 0.5", "reaches beyond the photo"),
        ("0 0.5 0.5 0 0.5", "no area"),
        (LINE, "the same box stands there twice"),
    ],
)
def test_a_wrong_line_is_named_by_file_and_number(tmp_path: Path, line: str, fault: str) -> None:
    files = {**LAYOUTS["yolo"], "labels/a.txt": f"{LINE}\n{line}\n"}
    with pytest.raises(DetectionError, match=rf"labels/a\.txt, line 3: .*{fault}"):
        read(tmp_path, **files)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"labels/c.txt": LINE}, r"labels/c\.txt: .*there is no photo of this name in images"),
        ({"images/a.png": PHOTO}, r"labels/a\.txt: is about images/a, and 2 photos are called so"),
        ({"a.xml": VOC}, r"which has boxes in another file too"),
        ({"images/b.jpg": OTHER[:-9]}, r"images/b\.jpg: cannot be read"),
        ({"labels/b.txt": b"\xff\xfe\0"}, r"labels/b\.txt: is not as its format"),
        ({"images/b\udcff.jpg": OTHER}, r"images/b\\udcff\.jpg: cannot be read"),
        ({"more.json": '{"images": [3], "annotations": []}'}, r"more\.json: is not as its format"),
        ({"more.xml": "<annotations><track/></annotations>"}, r"more\.xml: .*of a video"),
        ({"b.xml": VOC.replace("40", "20")}, r"b\.xml, object 1: the box reaches beyond"),
        ({"b.xml": VOC.replace("40", "0")}, r"b\.xml, object 1: it tells a width and height of 0x20"),
        ({"b.xml": VOC.replace("xmin", "x")}, r"b\.xml, object 1: a side is not a number"),
    ],
)
def test_other_faults_are_named_by_file(tmp_path: Path, changes: dict[str, bytes | str], fault: str) -> None:
    with pytest.raises(DetectionError, match=fault):
        read(tmp_path, **{**LAYOUTS["yolo"], **changes})


def test_folders_without_photos_or_boxes_say_so_and_many_faults_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="holds no photo"):
        read(tmp_path, **{"a.txt": LINE})
    with pytest.raises(DetectionError, match=r"1 photos and no box.*notes\.md"):
        read(tmp_path / "b", **{"a.jpg": PHOTO, "notes.md": ""})
    with pytest.raises(DetectionError, match=r"25 faults(.|\n)*and 5 more"):
        read(tmp_path / "c", **{**LAYOUTS["yolo"], "labels/a.txt": "x\n" * 25})


def test_what_is_learnt_from_is_in_the_digest_and_the_rest_is_named(tmp_path: Path) -> None:
    before = read(tmp_path, **LAYOUTS["yolo"]).digest
    found = read(tmp_path, **{"README.md": "words", "images/Thumbs.db": b"", "images/.DS_Store": b""})
    assert found.digest == before
    assert found.not_read == ("README.md", "images/Thumbs.db", "labels/classes.txt")
    assert read(tmp_path, **{"labels/b.txt": LINE}).digest != before


def copies(folder: Path, count: int, held_out: str = "") -> BoxFiles:
    """`count` photos, each twice and with a box."""
    files: dict[str, bytes | str] = {}
    for number in range(count):
        for place in ("one", held_out or "two"):
            files[f"{place}/{number}.png"] = encode(picture(30, 20, number), "PNG")
            files[f"{place}/{number}.txt"] = LINE
    return read(folder, **files)


def test_exact_copies_stay_on_one_side_and_a_photo_more_moves_few(tmp_path: Path) -> None:
    few, more = (hold_out(copies(tmp_path / str(n), n).photos, 0.2, 0) for n in (20, 21))
    sides = [{photo.sha256 for photo in some} for some in (few.training, few.held_out)]
    assert not sides[0] & sides[1] and (len(few.training), len(few.held_out)) == (32, 8)
    assert len({photo.sha256 for photo in more.held_out} ^ sides[1]) <= 2
    other = hold_out(copies(tmp_path / "20", 20).photos, 0.2, 1)
    assert {photo.sha256 for photo in other.held_out} != sides[1]


def test_a_training_photo_that_repeats_one_held_out_is_left_out_and_both_sides_need_boxes(
    tmp_path: Path,
) -> None:
    with pytest.raises(DetectionError, match="none of them has a box"):
        hold_out(read(tmp_path / "few", **LAYOUTS["yolo"]).photos, 0.2, 0)
    files = {"train/a.jpg": PHOTO, "train/b.jpg": OTHER, "val/c.jpg": PHOTO}
    files |= {f"{name[:-4]}.txt": LINE for name in files}  # type: ignore[misc]
    sides = hold_out(read(tmp_path / "some", **files).photos, 0.2, 0)
    names = [[photo.name for photo in some] for some in (sides.training, sides.held_out, sides.left_out)]
    assert names == [["train/b.jpg"], ["val/c.jpg"], ["train/a.jpg"]]
