"""Labels of a table against the venom list and the other splits."""

from pathlib import Path

import pyarrow as pa

from snake_assets.data_quality.labels import labels_of, scarce_classes, shared_observations, unknown_classes
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.storage.tables.table import Table
from snake_assets_tests.written import write

VENOMOUS = {3: False, 7: True}


def table(folder: Path, *photos: tuple[str, str, int | None]) -> Table:
    rows = [PhotoRow(image_id, observation, "p", class_id) for image_id, observation, class_id in photos]
    named = labels_of(rows).append_column("binomial_name", pa.array(["Vipera"] * len(rows), pa.string()))
    return write(folder, [named])


def test_class_ids_that_the_list_lacks(tmp_path: Path):
    photos = table(tmp_path / "i" / "val", ("a", "1", 3), ("b", "2", 8), ("c", "3", 8), ("d", "4", None))
    found = unknown_classes(photos, VENOMOUS)
    assert found.faults == ["class_id 8, photos: 2, b first"]
    assert not unknown_classes(photos, {**VENOMOUS, 8: True}).faults


def test_an_observation_of_two_splits_is_named_in_both(tmp_path: Path):
    found = shared_observations(
        {
            "train": table(tmp_path / "i" / "train", ("a", "1", 3), ("b", "2", 3), ("c", "2", 3)),
            "val": table(tmp_path / "i" / "val", ("d", "2", 3)),
            "test": table(tmp_path / "i" / "test", ("e", "9", None)),
        }
    )
    assert found["train"].faults == ["observation 2 stands in val too"]
    assert found["val"].faults == ["observation 2 stands in train too"]
    assert not found["test"].faults


def test_species_with_few_photos(tmp_path: Path):
    photos = table(tmp_path / "i" / "train", ("a", "1", 3), ("b", "2", 7), ("c", "3", 7), ("d", "4", None))
    found = scarce_classes(photos, 2)
    assert found.faults == ["class_id 3 (Vipera), photos: 1"]
    assert "1 of 2 species" in found.headline
    assert not scarce_classes(photos, 1).faults
