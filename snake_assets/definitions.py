"""Where everything meets: assets, jobs, schedules, sensors and resources as Dagster loads them."""

from collections.abc import Mapping

import dagster as dg

from snake_assets.defs.assets.ablation import ablation_study
from snake_assets.defs.assets.classifier import final_classifier, species_classifier
from snake_assets.defs.assets.competition_entry import competition_entry
from snake_assets.defs.assets.crops import yolo_crops
from snake_assets.defs.assets.detector import snake_detector
from snake_assets.defs.assets.embeddings import crop_embeddings, embeddings
from snake_assets.defs.assets.figures import embedding_map, species_histogram
from snake_assets.defs.assets.finetuned_backbone import finetuned_backbone
from snake_assets.defs.assets.identifications import identifications
from snake_assets.defs.assets.model_package import model_package
from snake_assets.defs.assets.photos import image_table, raw_images
from snake_assets.defs.assets.submission import submission
from snake_assets.defs.assets.validation_report import validation_report
from snake_assets.defs.automation.inbox import new_photos
from snake_assets.defs.automation.triggers import all_schedules, all_sensors
from snake_assets.defs.checks import all_checks
from snake_assets.defs.jobs import all_jobs
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops, DetectorTraining
from snake_assets.defs.resources.settings import Engine, Limits
from snake_assets.defs.resources.storage import Inbox, RawData, Store

# Of the steps that keep the device busy, a run has one at a time.
ONE_ON_DEVICE = [{"key": key, "value": value, "limit": 1} for key, value in ON_DEVICE.items()]
# Every step is a process of its own, forked from a server that has loaded once what steps need: Dagster opens
# its storage with SQLAlchemy and alembic, and pyarrow imports pandas by itself.
STEPS_NEED = ["snake_assets.definitions", "sqlalchemy", "alembic.command", "pandas"]
PROCESSES = dg.multiprocess_executor.configured(
    {
        "start_method": {"forkserver": {"preload_modules": STEPS_NEED}},
        "tag_concurrency_limits": ONE_ON_DEVICE,
    }
)


def build_definitions(
    executor: dg.ExecutorDefinition = PROCESSES, resources: Mapping[str, object] | None = None
) -> dg.Definitions:
    """The whole code location.

    Args:
        executor: what runs the steps of a run; processes beside it by default.
        resources: replace those of the same name, for tests and other set-ups.
    """
    return dg.Definitions(
        assets=[
            raw_images,
            image_table,
            yolo_crops,
            embeddings,
            crop_embeddings,
            finetuned_backbone,
            species_classifier,
            final_classifier,
            validation_report,
            submission,
            competition_entry,
            model_package,
            identifications,
            species_histogram,
            embedding_map,
            ablation_study,
            snake_detector,
        ],
        asset_checks=all_checks,
        jobs=all_jobs,
        schedules=all_schedules,
        sensors=[*all_sensors, new_photos],
        executor=executor,
        resources={
            "raw_data": RawData(),
            "store": Store(),
            "inbox": Inbox(),
            "backbone": BackboneSetting(),
            "crops": Crops(),
            "detector_training": DetectorTraining(),
            "engine": Engine(),
            "limits": Limits(),
            **(resources or {}),
        },
    )


defs = build_definitions()
