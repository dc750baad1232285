"""What is set in the launchpad is checked when a run is asked for, before any step has worked."""

from typing import get_args

import dagster as dg
import pytest

from snake_assets.definitions import defs
from snake_assets.defs.assets import classifier as tuning
from snake_assets.defs.assets.classifier import ClassifierConfig
from snake_assets.defs.lib.config_schema import SettingRefused
from snake_assets.defs.resources import backbone as backbone_resources
from snake_assets.learning import decisions, losses, observations
from snake_assets.learning.settings import TrainingSettings
from snake_assets.vision.backbone import devices


def validated(run_config: dict[str, object]):
    return dg.validate_run_config(defs.resolve_job_def("snakeclef"), run_config)


def of_step(step: str, /, **values: object) -> dict[str, object]:
    return {"ops": {step: {"config": values}}}


def of_resource(resource: str, /, **values: object) -> dict[str, object]:
    return {"resources": {resource: {"config": values}}}


def test_without_any_setting_the_defaults_are_those_of_the_rooms():
    config = validated({})["ops"]["species_classifier"]["config"]
    assert ClassifierConfig(**config).settings() == TrainingSettings()


def test_what_is_set_reaches_the_training():
    run_config = of_step(
        "species_classifier",
        feature_sets=["cls", "cls+dct"],
        rules=["track2"],
        blends=[],
        near_duplicates=None,
        weight_decays=[0, 0.5],
        class_weightings=["balanced"],
    )
    config = validated(run_config)["ops"]["species_classifier"]["config"]
    chosen = ClassifierConfig(**config).settings()
    assert chosen == TrainingSettings(
        feature_sets=(("cls",), ("cls", "dct")),
        rules=("track2",),
        blends=(),
        near_duplicates=None,
        weight_decays=(0, 0.5),
        class_weightings=("balanced",),
    )


@pytest.mark.parametrize(
    ("step", "field", "value"),
    [
        ("species_classifier", "folds", 1),
        ("species_classifier", "folds", None),
        ("species_classifier", "near_duplicates", 1.0),
        ("species_classifier", "shrinkages", []),
        ("species_classifier", "shrinkages", [0.5, 1.5]),
        ("species_classifier", "weight_decays", [-0.1]),
        ("species_classifier", "neighbours", [0]),
        ("species_classifier", "feature_sets", []),
        ("species_classifier", "feature_sets", ["cls+nonsense"]),
        ("yolo_crops", "confidence", 1.0),
        ("yolo_crops", "image_size", 100),
        ("yolo_crops", "queries", []),
        ("embeddings", "batch_size", 0),
        ("embeddings", "scale", 0.0),
        ("embeddings", "resolution", 5000),
        ("embeddings", "last_layers", 9),
    ],
)
def test_values_out_of_range_are_refused_by_name(step: str, field: str, value: object):
    with pytest.raises(SettingRefused, match=field):
        validated(of_step(step, **{field: value}))


@pytest.mark.parametrize(
    ("resource", "field", "value"),
    [
        ("limits", "most_rejects", 1.5),
        ("limits", "most_drift", -0.1),
        ("limits", "fewest_photos", -1),
        ("engine", "ray_actors", 0),
        ("engine", "ray_gpus", -0.5),
    ],
)
def test_settings_of_resources_out_of_range_are_refused_by_name(resource: str, field: str, value: float):
    with pytest.raises(SettingRefused, match=field):
        validated(of_resource(resource, **{field: value}))


@pytest.mark.parametrize(
    "run_config",
    [
        of_step("species_classifier", folds="five"),
        of_step("species_classifier", rules=["coin"]),
        of_step("species_classifier", poolings=["median"]),
        of_step("species_classifier", class_weightings=["heavy"]),
        of_step("species_classifier", nonsense=1),
        of_step("embeddings", resize="stretch"),
        of_step("embeddings", compiled="perhaps"),
        of_step("submission", refit_on_train_and_val="no"),
        of_step("embedding_map", class_ids=["Vipera"]),
        of_resource("backbone", device="toaster"),
        of_resource("backbone", precision="fp1"),
        of_resource("crops", mode="scissors"),
        of_resource("engine", name="steam"),
        of_resource("engine", ray_actors="all"),
    ],
    ids=str,
)
def test_values_of_another_kind_are_refused_by_the_launchpad_itself(run_config: dict[str, object]):
    with pytest.raises(dg.DagsterInvalidConfigError):
        validated(run_config)


@pytest.mark.parametrize(
    ("offered", "known"),
    [
        (tuning.ClassWeighting, get_args(losses.ClassWeighting)),
        (tuning.Pooling, observations.POOLINGS),
        (tuning.DecisionRule, decisions.RULES),
        (backbone_resources.Device, devices.DEVICES),
        (backbone_resources.Precision, devices.PRECISIONS),
    ],
)
def test_what_is_offered_is_what_the_rooms_know(offered: type, known: tuple[str, ...]):
    assert {choice.name: choice.value for choice in offered} == {name: name for name in known}
