"""Where raw data comes from and where everything is kept, as resources (see settings.py)."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.settings import SettingError, home, setting
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.near_copies import HASHES, PhotoHashes, Progress
from snake_assets.snakeclef.layouts.official import OFFICIAL
from snake_assets.snakeclef.layouts.own import Options
from snake_assets.snakeclef.metadata import METADATA_FILES
from snake_assets.snakeclef.raw.sources import BucketData, LocalData, RawSource
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.objectstore.gcs import BucketPath
from snake_assets.storage.objectstore.mirror import Mirror
from snake_assets.storage.paths import AnyPath, any_root, local_root

if TYPE_CHECKING:
    from google.cloud import storage


# What needs a split that raw data may lack.
NEEDED_BY = {"val": "validation_report", "test": "submission"}


class RawData(dg.ConfigurableResource[None]):
    """Where the raw photos and the official metadata files are."""

    root: str | None = Field(
        default=None,
        description="Root of the raw data: a folder in the official SnakeCLEF layout or another that is read "
        "(docs/your-data.md), or gs://BUCKET/FOLDER in Google Cloud Storage in the official one. Default: "
        "SNAKE_DATA, else the demo set, which is drawn on first use.",
    )
    cache: str | None = Field(
        default=None,
        description="Folder that raw data is fetched into where its root is in a bucket; what is there is "
        "not fetched again. Default: SNAKE_CACHE, else .snake/fetched in the project.",
    )
    link_roots: list[str] = Field(
        default=[],
        description="Folders outside of the raw data that links in it may lead into, such as the cache of "
        "DVC. Links that lead elsewhere are not followed: their photos are rejects.",
    )

    columns: dict[str, str] = Field(
        default={},
        description="Of the layout table: which column holds path, species, observation, split or country, "
        "such as path: Foto. Default: found by their usual names (docs/your-data.md).",
    )
    observations_from_subfolders: bool = Field(
        default=False,
        description="Of the layout folders: photos in one folder below that of their species are one "
        "observation. Off, each photo is one of its own.",
    )
    val_share: float = Field(
        default=Options.val_share,
        ge=0,
        lt=1,
        description="Share of the observations, 0 to below 1, that become val where the raw data names none; "
        "0 leaves val out. Not of the official layout.",
    )
    split_seed: int = Field(
        default=Options.seed,
        ge=0,
        description="Seed of that choice, 0 or more; another one gives another val.",
    )

    def layout(self, store: "Store", source: RawSource | None = None) -> Layout:
        """The raw data in its layout, its metadata fetched where it is in a bucket; otherwise as `source`.

        Whoever asks several times gives a source of their own, whose folder is then read once.
        """
        source = source or self.source(store)
        source.fetch_metadata()
        return source.layout

    def left_out(self, split: str, store: "Store", source: RawSource | None = None) -> str | None:
        """Why a split is left out, in a sentence: the raw data has nothing of it; None where it has.

        Train is never left out, and what has only metadata or only photos is no lack but a fault.
        """
        source, needed_by = source or self.source(store), NEEDED_BY.get(split)
        source.fetch_metadata()
        try:
            if needed_by is None or source.layout.describes(split) or not source.listing(split).is_empty:
                return None
        except DataError:  # told by the step that reads the raw data, and no other one needs it
            return None
        missing = (
            f"neither metadata/{METADATA_FILES[split][0].name} nor a file below {source.known_as}/{split}"
        )
        if (name := source.layout.name) != OFFICIAL:
            missing = f"layout {name}"
        return f"The raw data has no {split} split ({missing}): it is left out, and so is {needed_by}."

    def source(self, store: "Store", computes: bool = True, report: Progress | None = None) -> RawSource:
        """Where raw data comes from; draws the demo set if nothing else is set.

        Args:
            store: where the hashes of photos are remembered.
            computes: whether they are computed where they are missing; sensors, which may not take long, pass
                over such photos, of which a run is due anyway.
            report: told of photos hashed and to be hashed.

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
        links = tuple(local_root(folder, "link_roots") for folder in self.link_roots)
        hashes = PhotoHashes(store.folder(HASHES), computes, report)
        options = Options(
            self.columns, self.observations_from_subfolders, self.val_share, self.split_seed, hashes
        )
        return LocalData(root, links, options)


@cache
def gcs_client() -> "storage.Client":
    """The client of this process for Google Cloud Storage; its credentials are the environment's alone."""
    from dagster_gcp import GCSResource

    return GCSResource().get_client()


class Inbox(dg.ConfigurableResource[None]):
    """Where new photos arrive, which the sensor new_photos looks for."""

    root: str | None = Field(
        default=None,
        description="Where new photos arrive: a folder, or gs://BUCKET/FOLDER in Google Cloud Storage. "
        "Nothing there is moved or changed. Default: SNAKE_INBOX, else none.",
    )

    @property
    def is_set(self) -> bool:
        """Whether there is an inbox."""
        return bool(setting(self.root, "SNAKE_INBOX", ""))

    def folder(self) -> AnyPath:
        """The inbox. Raises SettingError where none is set, or it is no folder."""
        text = setting(self.root, "SNAKE_INBOX", "")
        if not text:
            raise SettingError("SNAKE_INBOX is not set: set it to the folder where new photos arrive.")
        root = any_root(text, "SNAKE_INBOX", gcs_client)
        if isinstance(root, Path) and not root.is_dir():
            raise SettingError(
                f"SNAKE_INBOX={root} is not a folder: set it to the one where new photos arrive, or mount "
                "its disk."
            )
        return root


class Store(dg.ConfigurableResource[None]):
    """Where everything that assets write is kept."""

    root: str | None = Field(
        default=None,
        description="Root of everything that assets write: a folder, or gs://BUCKET/FOLDER in Google Cloud "
        "Storage. Default: SNAKE_STORE, else .snake/store in the project.",
    )

    def folder(self, asset: str, split: str | None = None) -> AnyPath:
        """The folder of an asset's table for one split, or of an asset that has no splits."""
        text = setting(self.root, "SNAKE_STORE", str(home() / "store"))
        place = any_root(text, "SNAKE_STORE", gcs_client) / asset
        return place / split if split else place

    def local_folder(self, asset: str) -> Path:
        """The folder of an asset's files on this machine; fetched where the store is in a bucket.

        Raises:
            StorageError: it cannot be fetched.
        """
        folder = self.folder(asset)
        if isinstance(folder, Path):
            return folder
        cache = local_root(setting(None, "SNAKE_CACHE", str(home() / "fetched")), "SNAKE_CACHE")
        here = cache / folder.bucket.name / fingerprint(folder.parent.key)[:16]
        wanted = {f"{asset}/{name}": there for name, there in folder.listed(deep=True).items()}
        Mirror(folder.parent, here, here / "growing").bring(asset, wanted)
        return here / asset
