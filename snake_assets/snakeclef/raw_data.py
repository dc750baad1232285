"""Where raw data comes from: a folder of this machine, or a bucket, by the same few verbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snake_assets.snakeclef.bucket_data import BucketData
from snake_assets.snakeclef.photo_files import PhotoFile
from snake_assets.snakeclef.raw_listing import RawListing, list_raw
from snake_assets.storage.mirrors import Report


@dataclass(frozen=True)
class LocalData:
    """A folder in the official layout, where there is nothing to fetch."""

    folder: Path

    @property
    def known_as(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def unpacked_at(self, split: str) -> None:
        """None: archives are unpacked beside their table only."""

    def fetch_metadata(self) -> None:
        """Nothing."""

    def listing(self, split: str) -> RawListing:
        """A split's raw data."""
        return list_raw(self.folder, split)

    def fetch(self, split: str, report: Report) -> None:
        """Nothing."""

    def provide(self, split: str, photos: Sequence[PhotoFile], report: Report) -> None:
        """Nothing."""


RawSource = LocalData | BucketData
