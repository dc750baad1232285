"""The settings (DESIGN.md, section 3) as resources: what is set in a run's config comes first, then the
environment variable, then the default. Nothing is read from the environment before a run needs it."""

import os
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import ByteSize, Field, TypeAdapter, ValidationError

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.snakeclef.bucket_data import BucketData
from snake_assets.snakeclef.raw_data import LocalData, RawSource
from snake_assets.storage.bucket_path import BucketPath
from snake_assets.storage.digest_checks import VARIABLE, CheckDigests, choose
from snake_assets.storage.places import AnyPath, any_root, local_root
from snake_assets.vision.freshness import SoughtBackbone
from snake_assets.vision.model_files import BACKBONE
from snake_assets.vision.ray_engine import RayEngine
from snake_assets.vision.views import View

if TYPE_CHECKING:
    from google.cloud import storage

    from snake_assets.vision.backbone import Backbone


class Device(StrEnum):
    """What a backbone runs on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    """In which numbers a backbone computes."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class EngineName(StrEnum):
    """What runs the passes over photos."""

    local = "local"
    ray = "ray"


LIMITS = {
    "most_rejects": 0.01,
    "fewest_photos": 5,
    "near_cosine": 0.99,
    "most_drift": 0.1,
    "most_imbalance": 0.2,
}


class SettingError(ValueError):
    """A setting that cannot be used; the message names its variable and what to do."""


def home() -> Path:
    """The folder `.snake` of the project, or of the working folder where there is only the package."""
    project = Path(__file__).resolve().parent.parent
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


def number(resource: dg.ConfigurableResource[None], name: str) -> float | None:
    """What a resource's field says, else the variable SNAKE_ and its name, else None.

    Raises:
        SettingError: the variable is no number, or not in the field's range.
    """
    if (value := getattr(resource, name)) is not None:
        return float(value)
    variable = f"SNAKE_{name.upper()}"
    if not (text := os.environ.get(variable)):
        return None
    try:
        return float(getattr(type(resource).model_validate({name: text}), name))
    except ValidationError as error:
        raise SettingError(
            f"{variable}={text!r}: {error.errors()[0]['msg']}. Set it accordingly, or unset it."
        ) from None


class RawData(dg.ConfigurableResource[None]):
    """Where the raw photos and the official metadata files are."""

    root: str | None = Field(
        default=None,
        description="Root of the raw data in the official SnakeCLEF layout: a folder, or gs://BUCKET/FOLDER "
        "in Google Cloud Storage. Default: SNAKE_DATA, else the demo set, which is drawn on first use.",
    )
    cache: str | None = Field(
        default=None,
        description="Folder that raw data is fetched into where its root is in a bucket; what is there is "
        "not fetched again. Default: SNAKE_CACHE, else .snake/fetched in the project.",
    )

    def folder(self) -> Path:
        """The folder with the metadata, fetched where it is in a bucket; otherwise as `source`."""
        source = self.source()
        source.fetch_metadata()
        return source.folder

    def source(self) -> RawSource:
        """Where raw data comes from; draws the demo set if nothing else is set.

        Raises:
            SettingError: the root is no folder.
            StorageError: the root is another URL than that of a bucket, or the cache is no folder.
        """
        text = setting(self.root, "SNAKE_DATA", "")
        if not text:
            demo = home() / "demo" / "data"
            draw_demo_set(demo)
            return LocalData(demo)
        root = any_root(text, "SNAKE_DATA", gcs_client)
        if isinstance(root, BucketPath):
            cache = setting(self.cache, "SNAKE_CACHE", str(home() / "fetched"))
            return BucketData(root, local_root(cache, "SNAKE_CACHE"))
        if not root.is_dir():
            raise SettingError(
                f"SNAKE_DATA={root} is not a folder: set it to the root of the raw data, "
                "or unset it for the demo set."
            )
        return LocalData(root)


@cache
def gcs_client() -> "storage.Client":
    """The client of this process for Google Cloud Storage; its credentials are the environment's alone."""
    from dagster_gcp import GCSResource

    return GCSResource().get_client()


class Store(dg.ConfigurableResource[None]):
    """Where everything that assets write is kept."""

    root: str | None = Field(
        default=None,
        description="Root of everything that assets write: a folder, or gs://BUCKET/FOLDER in Google Cloud "
        "Storage. Default: SNAKE_STORE, else .snake/store in the project.",
    )
    check_digests: CheckDigests | None = Field(
        default=None,
        description="When the SHA-256 of a shard is held against its manifest as it is read: always, first "
        "(once per process and file) or never. Reads the whole file for that. Default: SNAKE_CHECK_DIGESTS, "
        "else first.",
    )

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Have this process check digests as it is set. Raises SettingError for what is no such setting."""
        wanted = setting(self.check_digests, VARIABLE, CheckDigests.first)
        choose(CheckDigests(choice(wanted, VARIABLE, tuple(CheckDigests))))

    def folder(self, asset: str, split: str | None = None) -> AnyPath:
        """The folder of an asset's table for one split, or of an asset that has no splits."""
        text = setting(self.root, "SNAKE_STORE", str(home() / "store"))
        place = any_root(text, "SNAKE_STORE", gcs_client) / asset
        return place / split if split else place


class BackboneSetting(dg.ConfigurableResource[None]):
    """Which vision backbone turns photos into vectors, and on what it runs."""

    name: str | None = Field(
        default=None,
        description="A model id on the Hugging Face hub (such as facebook/dinov2-base), or a folder in its "
        "format. Default: SNAKE_BACKBONE, else the demo's tiny untrained DINOv2.",
    )
    revision: str | None = Field(
        default=None, description="Hub revision to pin (a commit or tag). Default: SNAKE_REVISION, else none."
    )
    device: Device | None = Field(
        default=None,
        description="What the backbone runs on: auto (CUDA or MPS where there is one), cpu, cuda or mps. "
        "Default: SNAKE_DEVICE, else auto.",
    )
    precision: Precision | None = Field(
        default=None,
        description="Numbers that the backbone computes in: auto (bf16 where the device has "
        "units for it), fp32, bf16 or fp16. Default: SNAKE_PRECISION, else auto.",
    )

    def open(self, view: View | None = None) -> "Backbone":
        """Find the backbone, whose model loads at first use; builds the demo's if nothing else is set."""
        from snake_assets.vision.backbone import open_backbone

        name = setting(self.name, "SNAKE_BACKBONE", "")
        if not name:
            demo = home() / "demo" / "backbone"
            build_demo_backbone(demo)
            name = str(demo)
        return open_backbone(
            name,
            revision=setting(self.revision, "SNAKE_REVISION", "") or None,
            device=setting(self.device, "SNAKE_DEVICE", "auto"),
            precision=setting(self.precision, "SNAKE_PRECISION", "auto"),
            view=view,
        )

    def sought(self) -> SoughtBackbone:
        """The backbone as far as it is known without torch and without a network.

        Raises:
            BackboneError: a folder that is no backbone.
        """
        name = setting(self.name, "SNAKE_BACKBONE", "")
        folder = Path(name).expanduser() if name else home() / "demo" / "backbone"
        if folder.is_dir() or name.startswith((".", "/", "~")):
            weights = BACKBONE.digest(BACKBONE.locate(str(folder)))
            return SoughtBackbone(folder.resolve().name, weights=weights)
        return SoughtBackbone(name or folder.name, setting(self.revision, "SNAKE_REVISION", "") or None)


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


class Limits(dg.ConfigurableResource[None]):
    """From where on asset checks warn; what blocks has no limits to set."""

    most_rejects: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of a split's photos, 0 to 1, that may be rejects. Default: SNAKE_MOST_REJECTS, "
        "else 0.01.",
    )
    fewest_photos: int | None = Field(
        default=None,
        ge=0,
        description="Photos that a species of train should have. Default: SNAKE_FEWEST_PHOTOS, else 5.",
    )
    near_cosine: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Cosine of centred CLS tokens, 0 to 1, above which two photos are nearly the same. "
        "Default: SNAKE_NEAR_COSINE, else 0.99.",
    )
    most_drift: float | None = Field(
        default=None,
        ge=0,
        le=0.5,
        description="By how much the AUC, 0.5 to 1, with which a classifier tells test from train may be "
        "above that for val. Default: SNAKE_MOST_DRIFT, else 0.1.",
    )
    most_imbalance: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="By how much the total variation distance, 0 to 1, between the species of the submission "
        "and those of train may be above what chance gives. Default: SNAKE_MOST_IMBALANCE, else 0.2.",
    )

    def limit(self, name: str) -> float:
        """A limit by its field's name. Raises SettingError for a variable that is no number in its range."""
        found = number(self, name)
        return LIMITS[name] if found is None else found
