"""A data folder, a store and an instance of Dagster, for tests of what schedules and sensors ask for."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from snake_assets.definitions import defs
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import RawData, Store

SPLITS = ["train", "val", "test"]
EVERY_SPLIT = {"dagster/asset_partition_range_start": "train", "dagster/asset_partition_range_end": "test"}
REPOSITORY = defs.get_repository_def()
Asked = dict[str | None, dg.RunRequest] | str


@dataclass(frozen=True)
class Place:
    """A data folder and a store that a test may change, and an instance that remembers runs."""

    data: Path
    store: Path
    backbone: Path
    instance: dg.DagsterInstance

    def resources(self) -> dict[str, object]:
        return {
            "raw_data": RawData(root=str(self.data)),
            "store": Store(root=str(self.store)),
            "backbone": BackboneSetting(name=str(self.backbone), device="cpu"),
            "crops": Crops(mode=CropMode.none),
        }

    def tick(self, schedule: str = "backfill_missing_splits") -> Asked:
        """What a tick asks for, by split; or why it asks for nothing."""
        with dg.build_schedule_context(
            self.instance, repository_def=REPOSITORY, resources=self.resources()
        ) as context:
            told = REPOSITORY.get_schedule_def(schedule).evaluate_tick(context)
        return {request.partition_key: request for request in told.run_requests or ()} or told.skip_message

    def look(self, cursor: str | None = None) -> tuple[Asked, str]:
        """What a look of `raw_data_changed` asks for, by split, or why nothing; and the next cursor."""
        with dg.build_sensor_context(
            self.instance, cursor=cursor, repository_def=REPOSITORY, resources=self.resources()
        ) as context:
            told = REPOSITORY.get_sensor_def("raw_data_changed").evaluate_tick(context)
        asked = {request.partition_key: request for request in told.run_requests or ()}
        return asked or told.skip_message, told.cursor

    def run(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """The daemon's part: a run of this request, which is or ends like that."""
        tags = {**request.tags, "dagster/partition": request.partition_key}
        create_run(self.instance, "features", status, tags)


def create_run(
    instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus, tags: Mapping[str, str] | None = None
) -> dg.DagsterRun:
    """A run of a job that nobody executes."""
    return instance.create_run_for_job(defs.resolve_job_def(job), tags=tags, status=status)


def copy_of_the_data(place: Place) -> Path:
    """The data again, with all its times of change."""
    return shutil.copytree(place.data, place.store.parent / "data")


def moved(place: Place, data: Path) -> Place:
    """The same place as if its store had been made of this folder."""
    for manifest in (place.store / "raw_images").glob("*/_manifest.json"):
        manifest.write_text(manifest.read_text().replace(str(place.data), str(data)))
    return Place(data, place.store, place.backbone, place.instance)


def change_a_photo(place: Place, split: str) -> Place:
    """The same place, up to date but for one photo of a split."""
    data = copy_of_the_data(place)
    photo = next(path for path in (data / split).rglob("*.jpg"))
    os.utime(photo, ns=(1, 1))
    return moved(place, data)
