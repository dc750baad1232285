"""Where everything meets: assets, jobs, schedules, sensors and resources as Dagster loads them."""

from collections.abc import Mapping

import dagster as dg

from snake_assets.assets.classifier import species_classifier
from snake_assets.assets.crop_embeddings import crop_embeddings
from snake_assets.assets.crops import yolo_crops
from snake_assets.assets.delivery import submission
from snake_assets.assets.detector import snake_detector
from snake_assets.assets.embeddings import embeddings
from snake_assets.assets.ladder import paper_ladder
from snake_assets.assets.launchpad import resource_in_range
from snake_assets.assets.photos import image_table, raw_images
from snake_assets.assets.pictures import embedding_map, species_histogram
from snake_assets.assets.report import validation_report
from snake_assets.backbone_resources import BackboneSetting
from snake_assets.check_resources import Limits
from snake_assets.checks import all_checks
from snake_assets.detector_training import DetectorTraining
from snake_assets.executors import steps
from snake_assets.finder_resources import Crops
from snake_assets.jobs import all_jobs
from snake_assets.pass_resources import Engine, Memory
from snake_assets.place_resources import RawData, Store
from snake_assets.schedules import all_schedules
from snake_assets.sensors import all_sensors
from snake_assets.values import Values


def build_definitions(resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """The whole code location; `resources` replace those of the same name, for tests and other set-ups."""
    return dg.Definitions(
        assets=[
            raw_images,
            image_table,
            yolo_crops,
            embeddings,
            crop_embeddings,
            species_classifier,
            validation_report,
            submission,
            species_histogram,
            embedding_map,
            paper_ladder,
            snake_detector,
        ],
        asset_checks=all_checks,
        jobs=all_jobs,
        schedules=all_schedules,
        sensors=all_sensors,
        executor=steps,
        resources={
            "raw_data": RawData(),
            "store": Store(),
            "backbone": BackboneSetting(),
            "crops": Crops(),
            "detector_training": DetectorTraining(),
            "engine": resource_in_range(Engine),
            "memory": Memory(),
            "limits": resource_in_range(Limits),
            "io_manager": Values(),
            **(resources or {}),
        },
    )


defs = build_definitions()
