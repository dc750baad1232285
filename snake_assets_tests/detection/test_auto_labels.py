"""Boxes that a finder drew: of the photos and scores asked for, and each told."""

from pathlib import Path

import numpy as np

from snake_assets.detection.auto_labels import AutoLabels, Labelling, label_photos
from snake_assets.detection.finders.base import Finder
from snake_assets.storage.tables.table import Table
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.marks import Finds, MarkFinder, image_table, marked
from snake_assets_tests.vision.conftest import encode, picture

BOX = (0.25, 0.5, 0.75, 1.0)
SURE, UNSURE = Region(*BOX, score=0.6, label="snake"), Region(0, 0, 1.5, 1, score=0.2, label="snake")


def images(root: Path, count: int = 10) -> Table:
    """Every third photo without a mark."""
    photos = {f"{n}.png": marked(80, 60, BOX if n % 3 else None, n, "PNG") for n in range(count)}
    return image_table(root, photos)


def labelled(root: Path, table: Table, finder: Finder, **labelling) -> AutoLabels:
    folder = root / "labels"
    folder.mkdir()
    told: list[tuple[int, int]] = []
    labels = label_photos(table, finder, folder, Labelling(**labelling), lambda *far: told.append(far))
    assert told[-1] == (told[-1][1], told[-1][1])
    return labels


def test_photos_with_a_find_become_photos_with_boxes(tmp_path: Path) -> None:
    table = images(tmp_path)
    labels = labelled(tmp_path, table, MarkFinder())
    assert [photo.name for photo in labels.photos] == [f"{n}.png" for n in range(10) if n % 3]
    assert labels.counts() == {"looked_at": 10, "with_a_box": 6, "boxes": 6, "refused": 0, "unreadable": []}
    sha256 = dict(zip(*table.read(["image_id", "sha256"]).to_pydict().values(), strict=True))
    for photo in labels.photos:
        assert np.allclose(photo.boxes, [BOX], atol=1 / 60)
        assert photo.sha256 == sha256[photo.name] and photo.side == "train"
    assert labels.table().height == 6 and labels.table()["score"].to_list() == [0.75] * 6


def test_only_finds_with_the_score_asked_for_are_boxes_cut_to_the_photo(tmp_path: Path) -> None:
    table, finder = images(tmp_path, 2), Finds((SURE, UNSURE))
    labels = labelled(tmp_path, table, finder, least_score=0.1)
    assert labels.photos[0].boxes.tolist() == [list(BOX), [0, 0, 1, 1]]
    (tmp_path / "strict").mkdir()
    assert labelled(tmp_path / "strict", table, finder).photos[0].boxes.tolist() == [list(BOX)]


def test_so_many_photos_are_looked_at_evenly_spread_but_for_those_refused(tmp_path: Path) -> None:
    refused = frozenset({"4.png", "5.png"})
    labels = labelled(tmp_path, images(tmp_path), Finds((SURE,)), most_photos=5, refused=refused)
    assert [photo.name for photo in labels.photos] == ["0.png", "2.png", "6.png", "8.png"]
    assert (labels.looked_at, labels.refused) == (4, 1)


def test_a_photo_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    whole = encode(picture(90, 80, 7))
    table = image_table(tmp_path, {"a.jpg": whole, "half.jpg": whole[: len(whole) * 2 // 3] + b"\xff\xd9"})
    labels = labelled(tmp_path, table, Finds((SURE,)))
    assert list(labels.unreadable) == ["half.jpg"] and labels.looked_at == 1


def test_what_decides_the_boxes_is_in_the_recipe(tmp_path: Path) -> None:
    table, finder = images(tmp_path, 2), MarkFinder()
    recipes = [
        Labelling().recipe(finder, table),
        Labelling(least_score=0.5).recipe(finder, table),
        Labelling(most_photos=1).recipe(finder, table),
        Labelling(refused=frozenset("a")).recipe(finder, table),
        Labelling().recipe(MarkFinder("others"), table),
    ]
    assert all(recipes[0] != other for other in recipes[1:])
