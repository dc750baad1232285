"""What runs the passes over photos, and how much memory they may take, as resources (see settings.py)."""

from enum import StrEnum

import dagster as dg
from pydantic import ByteSize, Field, TypeAdapter, ValidationError

from snake_assets.defs.resources.settings import SettingError, choice, number, setting
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
        description="Of ray: processes that hold the model, 1 to 10,000. Default: SNAKE_RAY_ACTORS, else one "
        "for each GPU, or for each machine where the model runs on processors.",
    )
    ray_gpus: float | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Of ray: GPUs that each of these processes has, 0 to 16; 0.5 lets two share one. "
        "Default: SNAKE_RAY_GPUS, else 1 where the model runs on cuda, else 0.",
    )

    def open(self) -> RayEngine | None:
        """Ray, or None for this process. Raises SettingError for what is no engine, or no such number."""
        name = choice(setting(self.name, "SNAKE_ENGINE", "local"), "SNAKE_ENGINE", tuple(EngineName))
        if name == EngineName.local:
            return None
        actors, gpus = number(self, "ray_actors"), number(self, "ray_gpus")
        return RayEngine(None if actors is None else int(actors), gpus)


class Memory(dg.ConfigurableResource[None]):
    """How much main memory a pass over photos may take."""

    ceiling: str | None = Field(
        default=None,
        description="Main memory, such as 4GiB, 800MB or plain bytes, that the process of a step may take "
        "while it goes over photos (image_table, yolo_crops, embeddings, crop_embeddings). Default: "
        "SNAKE_MEMORY, else no ceiling.",
    )

    def bytes(self) -> int | None:
        """The ceiling; None without one. Raises SettingError for what is no size."""
        text = setting(self.ceiling, "SNAKE_MEMORY", "")
        if not text:
            return None
        try:
            size = int(TypeAdapter(ByteSize).validate_python(text))
        except ValidationError:
            size = 0
        if size <= 0:
            raise SettingError(
                f"SNAKE_MEMORY={text!r} is no size: set it to one such as 4GiB or 800MB, or unset it."
            )
        return size
