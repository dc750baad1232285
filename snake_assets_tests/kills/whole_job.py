"""The job `snakeclef` in a process that kills itself at a given moment, and tells which asset was running."""

import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

from snake_assets_tests.interrupting import Job

PRELOAD = (
    "snake_assets.definitions", "matplotlib.pyplot", "scipy.optimize", "sklearn.neighbors", "transformers",
    "transformers.models.dinov2.modeling_dinov2",
)  # fmt: skip
# Small shards, so that every table has several; little to try, so that a run takes seconds.
SHARD_ROWS = 16
CONFIG = {
    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    "ops": {
        "yolo_crops": {"config": {"batch_size": 16}},
        "embeddings": {"config": {"resolution": 56}},
        "crop_embeddings": {"config": {"resolution": 56}},
        "species_classifier": {"config": {"folds": 2}},
    },
}
EVERY_SPLIT = {"dagster/asset_partition_range_start": "train", "dagster/asset_partition_range_end": "test"}
BETWEEN = "between assets"


@dataclass(frozen=True)
class Moment:
    """When a run is killed: `seconds` after a step began, or after the run did where `step` is None."""

    step: str | None
    seconds: float


def whole_job(data: Path, store: Path, backbone: Path, running: Path) -> Job:
    """Runs the job on a data folder into a store; returns the seconds of every step."""
    import dagster as dg
    import torch

    from snake_assets.definitions import build_definitions
    from snake_assets.defs.assets import photos
    from snake_assets.defs.resources.backbone import BackboneSetting
    from snake_assets.defs.resources.finder import CropMode, Crops
    from snake_assets.defs.resources.storage import RawData, Store
    from snake_assets.plots import embedding_map
    from snake_assets.vision.preprocessing.regions import Region
    from snake_assets_tests.detection.marks import Finds

    class TheMiddle(Crops):
        """Finds a snake in the middle of every photo."""

        def open(self, data: Path, tuning: object) -> Any:
            return Finds((Region(0.2, 0.2, 0.8, 0.8, 0.9, "snake", None),))

    torch.set_num_threads(1)  # the threads of a pool would not live on in what is forked
    photos.ingest = partial(photos.ingest, shard_rows=SHARD_ROWS)

    with dg.DagsterInstance.ephemeral():
        pass  # what it imports is there for every run
    # UMAP takes half a minute to compile itself, in threads that cannot be forked, and writes nothing.
    embedding_map.flatten = lambda vectors: vectors[:, :2]
    graph = build_definitions(
        resources={
            "raw_data": RawData(root=str(data)),
            "store": Store(root=str(store)),
            "backbone": BackboneSetting(name=str(backbone), device="cpu"),
            "crops": TheMiddle(mode=CropMode.yolo),
        }
    ).resolve_job_def("snakeclef")

    def job(moment: Moment | None = None) -> dict[str, float]:
        with dg.DagsterInstance.ephemeral() as instance:
            _note_steps(instance, running, moment)
            result = graph.execute_in_process(instance=instance, tags=EVERY_SPLIT, run_config=CONFIG)
        return {
            event.step_key: event.event_specific_data.duration_ms / 1000
            for event in result.all_events
            if event.is_step_success
        }

    return job


def _note_steps(instance: Any, running: Path, moment: Moment | None) -> None:
    """Have the last line of `running` name the step that runs, and this process killed at a moment."""

    def kill_soon(seconds: float) -> None:
        timer = Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()

    def note(step: str) -> None:
        with running.open("a") as file:
            file.write(f"{step}\n")  # a line more, because a kill may fall between emptying and writing

    handle = instance.handle_new_event

    def noting(event: Any, **named: Any) -> None:
        told = event.dagster_event
        if told and told.is_step_start:
            note(told.step_key)
            if moment and moment.step == told.step_key:
                kill_soon(moment.seconds)
        elif told and told.is_step_success:
            note(BETWEEN)
        handle(event, **named)

    instance.handle_new_event = noting
    running.unlink(missing_ok=True)
    note(BETWEEN)
    if moment and moment.step is None:
        kill_soon(moment.seconds)
