"""The assets of raw photos: how much may be lost, and what is told of how photos were found."""

from pathlib import Path

import dagster as dg
import pytest

from snake_assets.defs.assets.photos import image_table, raw_images
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.snakeclef.layouts.laid_out import as_folders, tell_venom


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A test split of five photos: one at its place, one in other case, and three that are not there."""
    root = tmp_path / "data"
    for folder in ("metadata", "test"):
        (root / folder).mkdir(parents=True)
    (root / "metadata" / "venomous_status_list.csv").write_text("class_id;MIVS\n1;0\n")
    rows = "".join(f"{number},{number}.jpg\n" for number in range(5))
    (root / "metadata" / "SnakeCLEF2024-TestMetadata.csv").write_text("observation_id,filename\n" + rows)
    (root / "test" / "0.jpg").write_bytes(photo_bytes(0))
    (root / "test" / "1.JPG").write_bytes(photo_bytes(1))
    return root


def made(root: Path, store: Path, **config: float) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [raw_images, image_table],
        partition_key="test",
        resources={"raw_data": RawData(root=str(root)), "store": Store(root=str(store))},
        run_config={"ops": {"image_table": {"config": config}}},
        raise_on_error=False,
    )


def test_a_lost_split_ends_the_run_unless_its_config_bears_it(root: Path, tmp_path: Path):
    refused = made(root, tmp_path / "store")
    assert not refused.success
    (event,) = refused.get_step_failure_events()
    assert "3 of the 5 photos of 'test' are missing" in str(event.step_failure_data.user_failure_data)
    allowed = made(root, tmp_path / "store", most_rejected=0.6)
    assert allowed.success
    told = allowed.asset_materializations_for_node("image_table")[0].metadata
    assert told["photos_found"].value == {"exact": 1, "normalised": 0, "case_folded": 1, "last_part": 0}
    assert told["read_although"].value == "venomous_status_list.csv is separated by semicolons."


def test_a_folder_of_folders_is_split_and_says_what_it_is(small_set: Path, tmp_path: Path):
    data = tmp_path / "data"
    places = as_folders(small_set, data, splits=False)
    tell_venom(small_set, data)
    store = Store(root=str(tmp_path / "store"))
    raw_data, rows = RawData(root=str(data), observations_from_subfolders=True), {}
    assert "no test split (layout folders)" in (raw_data.left_out("test", store) or "")
    for split in ("train", "val"):
        result = dg.materialize(
            [raw_images, image_table],
            partition_key=split,
            resources={"raw_data": raw_data, "store": store},
        )
        (listed,) = result.asset_materializations_for_node("raw_images")
        assert listed.metadata["layout"].value == "folders"
        assert listed.metadata["metadata_files"].value.keys() == {"venomous_status_list.csv"}
        (told,) = result.asset_materializations_for_node("image_table")
        assert "There is no val" in str(told.metadata["read_although"].value)
        assert told.metadata["files_without_metadata"].value == 0
        rows[split] = told.metadata["metadata_rows"].value
    # A sensor, which computes nothing, sees the same split.
    seen = raw_data.source(store, computes=False).layout
    assert {split: len(seen.rows(split)) for split in rows} == rows
    assert sum(rows.values()) == len(places) and 0 < rows["val"] < rows["train"]
