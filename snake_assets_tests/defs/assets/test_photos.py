"""The assets of raw photos: how much may be lost, and what is told of how photos were found."""

from pathlib import Path

import dagster as dg
import pytest

from snake_assets.defs.assets.photos import image_table, raw_images
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets_tests.conftest import photo_bytes


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
