"""What runs the passes over photos, as a resource (see settings.py)."""

from enum import StrEnum

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.settings import choice, setting
from snake_assets.vision.inference.ray import RayEngine


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
