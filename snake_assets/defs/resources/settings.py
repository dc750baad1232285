"""The settings (DESIGN.md, section 3), and the two resources that are nothing else.

What is set in a run's config comes first, then the environment variable, then the default. Nothing is read
from the environment before a run needs it.
"""

import os
from enum import StrEnum
from pathlib import Path

import dagster as dg
from pydantic import Field

from snake_assets.vision.inference.ray import RayEngine


class SettingError(ValueError):
    """A setting that cannot be used; the message names its variable and what to do."""


def home() -> Path:
    """The folder `.snake` of the project, or of the working folder where there is only the package."""
    project = Path(__file__).resolve().parents[3]
    return (project if (project / "pyproject.toml").is_file() else Path.cwd()) / ".snake"


def setting(value: str | None, variable: str, default: str) -> str:
    """What a run's config says, else the environment variable, else the default."""
    return value or os.environ.get(variable) or default


def choice(value: str, variable: str, choices: tuple[str, ...]) -> str:
    """A value that is one of some; raises SettingError for another."""
    if value not in choices:
        raise SettingError(
            f"{variable}={value!r} is not one of {', '.join(choices)}: set one of them, or unset it."
        )
    return value


class EngineName(StrEnum):
    """What runs the passes over photos."""

    local = "local"
    ray = "ray"


class Engine(dg.ConfigurableResource[None]):
    """What runs the passes over photos: embeddings and crops."""

    name: EngineName | None = Field(
        default=None,
        description="local (this process), or ray: the Ray cluster that RAY_ADDRESS names, else one of this "
        "machine while the pass runs. Default: SNAKE_ENGINE, else local.",
    )
    ray_actors: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Of ray: processes that hold the model, 1 to 10,000. Default: one for each GPU, or for "
        "each machine where the model runs on processors.",
    )
    ray_gpus: float | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Of ray: GPUs that each of these processes has, 0 to 16; 0.5 lets two share one. "
        "Default: 1 where the model runs on cuda, else 0.",
    )

    def open(self) -> RayEngine | None:
        """Ray, or None for this process. Raises SettingError for what is no engine."""
        name = choice(setting(self.name, "SNAKE_ENGINE", "local"), "SNAKE_ENGINE", tuple(EngineName))
        return RayEngine(self.ray_actors, self.ray_gpus) if name == EngineName.ray else None


class Limits(dg.ConfigurableResource[None]):
    """From where on asset checks warn; what blocks has no limits to set."""

    most_rejects: float = Field(
        default=0.01, ge=0, le=1, description="Share of a split's photos, 0 to 1, that may be rejects."
    )
    fewest_photos: int = Field(
        default=5, ge=0, description="Photos that a species of train should have, 0 or more."
    )
    near_cosine: float = Field(
        default=0.99,
        ge=0,
        lt=1,
        description="Cosine of centred CLS tokens, 0 to 1, above which two photos are nearly the same.",
    )
    most_drift: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="By how much the AUC, 0.5 to 1, with which a classifier tells test from train may be "
        "above that for val.",
    )
    most_imbalance: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="By how much the total variation distance, 0 to 1, between the species of the submission "
        "and those of train may be above what chance gives.",
    )
