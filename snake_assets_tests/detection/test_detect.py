"""The pass of a finder: the right region for the right photo, each looked at once, whatever happens."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.detection.detect import FindingSettings, count_finds, find_snakes
from snake_assets.detection.finders.base import DetectionError
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.inference.runner import PassRun
from snake_assets.vision.preprocessing.crops import mask_from_bytes
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.marks import Finds, MarkFinder, image_table, marked
from snake_assets_tests.vision.conftest import encode, picture

BOX = (0.25, 0.5, 0.75, 1.0)


def run(root: Path, images: Table, finder=None, **changes) -> PassRun:
    settings = FindingSettings(**{"batch_size": 3, **changes})
    return find_snakes(images, root / "crops", finder or MarkFinder(), settings)


def rows(root: Path) -> dict[str, dict[str, object]]:
    return {row["image_id"]: row for row in open_table(root / "crops").read().to_pylist()}


def box_of(row: dict[str, object]) -> list[float]:
    return [row[side] for side in ("x0", "y0", "x1", "y1")]


def photos(count: int) -> dict[str, bytes]:
    """Every third without a mark."""
    return {
        f"{n:02}.png": marked(80 + n, 60, (n / 40, 0.5, 0.75, 1.0) if n % 3 else None, n, "PNG")
        for n in range(count)
    }


def half_photo() -> bytes:
    whole = encode(picture(90, 80, 7))
    return whole[: len(whole) * 2 // 3] + b"\xff\xd9"


def test_every_row_is_its_own_photos_region(tmp_path: Path):
    images = image_table(tmp_path, photos(10))
    run(tmp_path, images)
    table = open_table(tmp_path / "crops").read()
    assert table["image_id"].to_pylist() == list(photos(10))
    assert table["sha256"].to_pylist() == images.read(["sha256"])["sha256"].to_pylist()
    for number, row in enumerate(rows(tmp_path).values()):
        if number % 3:
            assert np.allclose(box_of(row), (number / 40, 0.5, 0.75, 1.0), atol=1 / 60)
            assert (row["score"], row["label"], row["finds"], row["mask"]) == (0.75, "mark", 1, None)
        else:
            assert (box_of(row), row["score"], row["label"], row["finds"]) == ([0, 0, 1, 1], 0, "", 0)


def test_the_table_is_that_of_the_contract_explains_itself_and_keeps_masks(tmp_path: Path):
    marks = {"a.png": marked(80, 60, BOX, kind="PNG"), "b.png": marked(80, 60, None, kind="PNG")}
    run(tmp_path, image_table(tmp_path, marks), MarkFinder(masks=True))
    mask = mask_from_bytes(rows(tmp_path)["a.png"]["mask"])
    assert mask.shape == (60, 80)
    assert mask[30:60, 20:60].all() and mask.sum() == 30 * 40
    schema = open_table(tmp_path / "crops").schema
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "image_id": "string",
        "sha256": "string",
        **dict.fromkeys(("x0", "y0", "x1", "y1", "score"), "float"),
        "label": "string",
        "finds": "int32",
        "mask": "binary",
    }
    told = {key.decode(): json.loads(value) for key, value in schema.metadata.items()}
    assert told == {"version": 2, "batch_size": 3, "longest_side": 200, "finder": "marks", "masks": True}


def test_large_photos_are_shown_small_and_boxes_stay_those_of_the_photo(tmp_path: Path):
    given = {"large.jpg": marked(1600, 1200, BOX), "high.png": marked(300, 900, BOX, kind="PNG")}
    finder = MarkFinder()
    run(tmp_path, image_table(tmp_path, given), finder)
    assert finder.shown == [(150, 200, 3), (200, 67, 3)]
    for row in rows(tmp_path).values():
        assert np.allclose(box_of(row), BOX, atol=0.02)


def test_ten_added_photos_are_ten_looks(tmp_path: Path):
    given = photos(41)
    before = {name: data for number, (name, data) in enumerate(given.items()) if number % 4 != 2}
    assert run(tmp_path, image_table(tmp_path, before, 8)).computed == 31
    finder = MarkFinder()
    images = image_table(tmp_path, given, 8)
    again = run(tmp_path, images, finder)
    assert (again.computed, again.copied, len(finder.shown)) == (10, 31, 10)
    run(tmp_path / "afresh", images)
    assert rows(tmp_path) == rows(tmp_path / "afresh")


def test_identical_photos_are_looked_at_once(tmp_path: Path):
    given = photos(4) | {"04.png": photos(4)["01.png"], "05.png": photos(4)["01.png"]}
    finder = MarkFinder()
    result = run(tmp_path, image_table(tmp_path, given, 3), finder)
    assert (result.computed, result.copied, len(finder.shown)) == (4, 2, 4)
    found = rows(tmp_path)
    assert box_of(found["01.png"]) == box_of(found["04.png"]) == box_of(found["05.png"])


def test_a_photo_that_fails_to_decode_is_a_reject_and_shifts_nothing(tmp_path: Path):
    given = photos(6) | {"02.png": half_photo()}
    result = run(tmp_path, image_table(tmp_path, given))
    manifest = result.manifests["yolo_crops"]
    assert [(reject.image_id, reject.reason) for reject in manifest.rejects] == [("02.png", "truncated")]
    assert (manifest.rows_in, manifest.rows_out) == (6, 5)
    assert rows(tmp_path)["05.png"]["x0"] == pytest.approx(5 / 40, abs=0.02)


def test_odd_photos(tmp_path: Path):
    """Of one pixel, and a strip of 20,000 x 50: both are looked at, and both have a row."""
    given = {
        "pixel.png": encode(picture(1, 1), "PNG"),
        "strip.jpg": marked(20_000, 50, (0.5, 0, 0.75, 1)),
        "high.png": marked(50, 20_000, (0, 0.5, 1, 0.75), kind="PNG"),
    }
    finder = MarkFinder()
    run(tmp_path, image_table(tmp_path, given), finder)
    found = rows(tmp_path)
    assert finder.shown == [(1, 1, 3), (1, 200, 3), (200, 1, 3)]
    assert (box_of(found["pixel.png"]), found["pixel.png"]["score"]) == ([0, 0, 1, 1], 0)
    assert np.allclose(box_of(found["strip.jpg"]), (0.5, 0, 0.75, 1), atol=0.02)
    assert np.allclose(box_of(found["high.png"]), (0, 0.5, 1, 0.75), atol=0.02)


def test_a_finder_that_fails_keeps_what_is_finished(tmp_path: Path):
    class Fails(MarkFinder):
        def find(self, given):
            if len(self.shown) >= 4:
                raise DetectionError("enough")
            return super().find(given)

    images = image_table(tmp_path, photos(8))
    with pytest.raises(DetectionError, match="enough"):
        run(tmp_path, images, Fails(), batch_size=2)
    assert run(tmp_path, images, batch_size=2).computed == 4


def test_the_table_of_no_photo_is_empty(tmp_path: Path):
    run(tmp_path, image_table(tmp_path, {"0.jpg": half_photo()}))
    table = open_table(tmp_path / "crops").read()
    assert table.num_rows == 0
    assert table.schema.field("mask").type == pa.binary()


def test_finds_are_counted(tmp_path: Path):
    boxes = {"a": (0, 0, 0.5, 0.5), "b": None, "c": (0.5, 0.5, 1, 1), "d": None, "e": None}
    photos = {f"{name}.png": marked(80, 40, box, ord(name), "PNG") for name, box in boxes.items()}
    images = image_table(tmp_path, photos)
    run(tmp_path, images)
    assert count_finds(open_table(tmp_path / "crops")) == {
        "photos": 5,
        "photos_without_a_find": 3,
        "share_without_a_find": 0.6,
        "photos_with_more_than_one_find": 0,
        "median_score": 0.75,
        "median_share_of_the_photo": 0.25,
        "labels": {"mark": 2},
    }
    finds = Region(0, 0, 1, 0.5, 0.9, "snake"), Region(0, 0, 0.1, 0.1, 0.4, "eel")
    run(tmp_path / "two", images, Finds(finds))
    two = count_finds(open_table(tmp_path / "two" / "crops"))
    assert (two["photos_with_more_than_one_find"], two["labels"]) == (5, {"snake": 5})
    run(tmp_path / "none", images, Finds(()))
    none = count_finds(open_table(tmp_path / "none" / "crops"))
    assert (none["share_without_a_find"], none["median_score"], none["labels"]) == (1, None, {})
