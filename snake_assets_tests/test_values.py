"""Small values: where they go that one asset hands to another."""

from pathlib import Path

import dagster as dg
import pytest
from dagster_gcp.gcs import GCSPickleIOManager

from snake_assets.defs.resources.io_manager import Values
from snake_assets.defs.resources.settings import SettingError


@dg.asset
def handed() -> int:
    """A small value."""
    return 7


@dg.asset
def taken(handed: int) -> int:
    """One that is made of it."""
    return handed + 1


def test_they_stay_on_this_machine_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SNAKE_VALUES", raising=False)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        made = dg.materialize([handed, taken], resources={"io_manager": Values()}, instance=instance)
    assert made.output_for_node("taken") == 8
    assert list(tmp_path.rglob("handed"))


def test_they_go_to_the_bucket_that_is_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_VALUES", "gs://a-bucket/some/values")
    made = Values().create_io_manager(dg.build_init_resource_context())
    assert isinstance(made, GCSPickleIOManager)
    assert (made.gcs_bucket, made.gcs_prefix) == ("a-bucket", "some/values")


@pytest.mark.parametrize("root", ["gs://", "s3://a-bucket", "/a/folder"])
def test_what_is_no_bucket_is_refused_by_name(root: str):
    with pytest.raises(SettingError, match="SNAKE_VALUES"):
        Values(root=root).create_io_manager(dg.build_init_resource_context())
