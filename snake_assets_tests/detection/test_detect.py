"""The pass of a finder: the right region for the right photo, each looked at once, whatever happens."""

import json
from pathlib import Path

import numpy as np
import pytest

from snake_assets.detection.detect import FindingSettings, count_finds, find_snakes, open_finder
from snake_assets.detection.finders.base import DetectionError, FinderTuning
from snake_assets.detection.finders.hub_models import open_hub_model, owl, sam
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.inference.runner import PassRun
from snake_assets.vision.preprocessing.crops import mask_from_bytes
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.detectors import save_detector
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


def test_photos_of_any_size_are_shown_small_and_boxes_stay_those_of_the_photo(tmp_path: Path):
    strip, across = (0.5, 0, 0.75, 1), (0, 0.5, 1, 0.75)
    given = {
        "large.jpg": marked(1600, 1200, BOX),
        "high.png": marked(300, 900, BOX, kind="PNG"),
        "pixel.png": encode(picture(1, 1), "PNG"),
        "strip.jpg": marked(20_000, 50, strip),
        "tower.png": marked(50, 20_000, across, kind="PNG"),
    }
    finder = MarkFinder()
    run(tmp_path, image_table(tmp_path, given), finder)
    assert finder.shown == [(150, 200, 3), (200, 67, 3), (1, 1, 3), (1, 200, 3), (200, 1, 3)]
    boxes = [box_of(row) for row in rows(tmp_path).values()]
    assert np.allclose(boxes, [BOX, BOX, (0, 0, 1, 1), strip, across], atol=0.02)


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


def test_identical_photos_are_looked_at_once_and_one_that_fails_to_decode_is_a_reject(tmp_path: Path):
    given = photos(6) | {"02.png": half_photo(), "06.png": photos(4)["01.png"], "07.png": photos(4)["01.png"]}
    finder = MarkFinder()
    result = run(tmp_path, image_table(tmp_path, given, 3), finder)
    assert (result.computed, result.copied, len(finder.shown)) == (6, 2, 5)
    manifest, found = result.manifests["yolo_crops"], rows(tmp_path)
    assert box_of(found["01.png"]) == box_of(found["06.png"]) == box_of(found["07.png"])
    assert [(reject.image_id, reject.reason) for reject in manifest.rejects] == [("02.png", "truncated")]
    assert (manifest.rows_in, manifest.rows_out) == (8, 7)
    assert found["05.png"]["x0"] == pytest.approx(5 / 40, abs=0.02)
    run(tmp_path / "none", image_table(tmp_path / "none", {"0.jpg": half_photo()}))
    assert open_table(tmp_path / "none" / "crops").read().num_rows == 0


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


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector") / "tiny.pt")


@pytest.mark.parametrize("mode", ["yolo", "owlvit", "sam"])
def test_nothing_named_says_what_to_set(mode: str):
    wanted = {"yolo": r"a \.pt file", "owlvit": "a folder of OWL-ViT or OWLv2", "sam": "a folder of SAM"}
    with pytest.raises(DetectionError, match=f"SNAKE_CROPS is {mode}.*set SNAKE_DETECTOR to {wanted[mode]}"):
        open_finder(mode, None)


def test_another_mode_or_device_is_refused(weights: Path):
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is 'detr'; choose none, yolo, owlvit, sam"):
        open_finder("detr", str(weights))
    with pytest.raises(DetectionError, match=r"SNAKE_CROPS is sam.* set SNAKE_PROMPTER"):
        open_finder("sam", str(weights))
    with pytest.raises(DetectionError, match="SNAKE_DEVICE is 'tpu'"):
        open_finder("yolo", str(weights), device="tpu")


@pytest.mark.parametrize("wrong", [{"queries": ()}, {"queries": ("a snake", " ")}])
def test_tuning_that_no_finder_can_follow_is_refused(wrong: dict[str, object]):
    with pytest.raises(DetectionError):
        FinderTuning(**wrong)  # type: ignore[arg-type]


def test_finders_are_opened_as_tuned(sam_folder: Path, weights: Path, owl_folders: dict[str, Path]):
    tuning = FinderTuning(0.5, 0.6, 64, classes=("snake",), queries=("a viper",), most=3)
    yolo = YoloFinder(open_weights(str(weights)), "cpu", 0.5, 0.6, 64, 3, ("snake",))
    owl_model = open_hub_model(owl("SNAKE_DETECTOR"), str(owl_folders["owlv2"]))
    owlvit = OwlFinder(owl_model, ("a viper",), "cpu", 0.5, 0.6, 3)
    sam_model = open_hub_model(sam("SNAKE_DETECTOR"), str(sam_folder))
    assert open_finder("yolo", str(weights.parent), tuning=tuning) == yolo
    assert open_finder("owlvit", str(owl_folders["owlv2"]), tuning=tuning) == owlvit
    prompted = open_finder("sam", str(sam_folder), prompter=str(weights), tuning=tuning)
    assert prompted == SamFinder(sam_model, yolo)
    prompted = open_finder("sam", str(sam_folder), prompter=str(owl_folders["owlv2"]), tuning=tuning)
    assert isinstance(prompted, SamFinder) and isinstance(prompted.prompter, OwlFinder)
    assert open_finder("yolo", str(weights)) == YoloFinder(open_weights(str(weights)))
    assert open_finder("owlvit", str(owl_folders["owlv2"])) == OwlFinder(owl_model)


def test_pins_and_places_of_weights_hold(sam_folder: Path, weights: Path, owl_folders: dict[str, Path]):
    wrong = "0" * 64
    for mode, named in (("yolo", weights), ("owlvit", owl_folders["owlvit"]), ("sam", sam_folder)):
        with pytest.raises(DetectionError, match=f"{named} has .*not the pinned"):
            open_finder(mode, str(named), pinned_sha256=wrong, prompter=str(weights))
    for prompter in (weights, owl_folders["owlvit"]):
        with pytest.raises(DetectionError, match=f"{prompter} has .*not the pinned"):
            open_finder("sam", str(sam_folder), prompter=str(prompter), prompter_sha256=wrong)
    for options in ({"mode": "yolo", "named": str(weights)},
                    {"mode": "sam", "named": str(sam_folder), "prompter": str(weights)}):  # fmt: skip
        with pytest.raises(DetectionError, match="inside the data"):
            open_finder(**options, data_root=weights.parent)
