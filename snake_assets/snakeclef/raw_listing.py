"""A split's raw data as one listing tells of it: whether it changed can be told without opening a photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snake_assets.snakeclef.archives import Archive, find_archives
from snake_assets.snakeclef.metadata import metadata_paths
from snake_assets.snakeclef.photo_files import PhotoFile, find_photos
from snake_assets.snakeclef.venom import VENOM_LIST
from snake_assets.storage.fingerprints import file_digest, fingerprint


@dataclass(frozen=True)
class RawListing:
    """What lies in the data folder for a split.

    `digest` changes with every file that the split's tables are made from: path, bytes and time of change of
    photos and archives, content of the metadata and of the venom list. `known_as` and `unpacked_at` are those
    of `take_inventory`.
    """

    data: Path
    split: str
    photos: tuple[PhotoFile, ...]
    archives: tuple[Archive, ...]
    digest: str
    known_as: str | None = None
    unpacked_at: Path | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a photo nor an archive."""
        return not self.photos and not self.archives


def list_raw(data: Path, split: str) -> RawListing:
    """List a split's raw data below the root `data`: its folder once, the root for archives, its metadata."""
    return as_listing(data, split, find_photos(data, split), find_archives(data, split))


def as_listing(
    data: Path,
    split: str,
    photos: Sequence[PhotoFile],
    archives: Sequence[Archive],
    known_as: str | None = None,
    unpacked_at: Path | None = None,
) -> RawListing:
    """The listing of what was found; the metadata is read below `data`."""
    described = [data / "metadata" / VENOM_LIST, *metadata_paths(data, split)]
    digest = fingerprint(
        {
            "photos": [[photo.path, photo.bytes, photo.modified_ns] for photo in photos],
            "archives": [[str(found.path), found.bytes, found.modified_ns] for found in archives],
            "metadata": {path.name: file_digest(path) if path.is_file() else None for path in described},
        }
    )
    return RawListing(data, split, tuple(photos), tuple(archives), digest, known_as, unpacked_at)
