"""Raw data in a bucket: listed there, and fetched into a folder that is then read as any other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snake_assets.snakeclef.archives import Archive, find_archives, is_archive
from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.metadata import METADATA_FILES
from snake_assets.snakeclef.photo_files import EXTENSIONS, PhotoFile
from snake_assets.snakeclef.raw_listing import RawListing, as_listing
from snake_assets.snakeclef.unpacking import unpack_all
from snake_assets.snakeclef.venom import VENOM_LIST
from snake_assets.storage.bucket_path import BucketPath, Stored
from snake_assets.storage.fetching import time_of
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.mirrors import Fetched, Mirror, Report
from snake_assets.storage.object_names import refuse_unsafe_names

METADATA = "metadata"
OFFICIAL = frozenset({VENOM_LIST, *(file.name for files in METADATA_FILES.values() for file in files)})


@dataclass(frozen=True)
class BucketData:
    """The official layout below `root`, of which what is needed is fetched into a folder in `cache`."""

    root: BucketPath
    cache: Path

    @property
    def known_as(self) -> str:
        """The URL of the root: the same on every machine."""
        return str(self.root)

    @property
    def folder(self) -> Path:
        """Where the files are on this machine."""
        return self._home / "data"

    def unpacked_at(self, split: str) -> Path:
        """Where a split's archives are unpacked to if the store is in a bucket, too."""
        return self._home / "unpacked" / split

    def fetch_metadata(self) -> None:
        """Have the official metadata files here as they are in the bucket; one listing where nothing is new.

        Raises:
            DataError: there is none of them.
            StorageError: they cannot be listed or fetched.
        """
        there = (self.root / METADATA).listed()
        wanted = {f"{METADATA}/{name}": stored for name, stored in there.items() if name in OFFICIAL}
        if not wanted:
            raise DataError(
                f"{self.root}/{METADATA} holds none of the official metadata files, such as {VENOM_LIST}: "
                "set SNAKE_DATA to the root of the raw data."
            )
        self._mirror.bring(METADATA, wanted)

    def listing(self, split: str) -> RawListing:
        """A split's raw data by listings alone, a request for each thousand objects; raises as `fetch`."""
        photos, archives = self._listed(split)
        self.fetch_metadata()
        return as_listing(
            self.folder,
            split,
            [
                PhotoFile(name, self.folder, stored.size, time_of(stored))
                for name, stored in sorted(photos.items())
            ],
            [
                Archive(self.folder / name, stored.size, time_of(stored))
                for name, stored in sorted(archives.items())
            ],
            self.known_as,
            self.unpacked_at(split),
        )

    def fetch(self, split: str, report: Report) -> Fetched:
        """Fetch a split's photos, or its archives where it has no photos; `report` as for `Mirror.bring`.

        Raises:
            StorageError: they cannot be listed or fetched, or a name among them cannot be a file's.
        """
        photos, archives = self._listed(split)
        for archive in find_archives(self.folder, split):
            if archive.path.relative_to(self.folder).as_posix() not in archives:
                archive.path.unlink(missing_ok=True)
        return self._mirror.bring(split, photos or archives, report)

    def provide(self, split: str, photos: Sequence[PhotoFile], report: Report) -> Fetched | None:
        """See that the photos of an inventory, which may be another machine's, are here; None if they were.

        Raises:
            DataError: one of them has changed in the bucket since.
            StorageError: as `fetch`.
        """
        if all(map(self._is_here, photos)):
            return None
        fetched = self.fetch(split, report)
        if any(photo.root == self.unpacked_at(split) for photo in photos):
            unpack_all(find_archives(self.folder, split), self.unpacked_at(split))
        changed = next((photo for photo in photos if not self._is_here(photo)), None)
        if changed:
            raise DataError(
                f"{self.root}: {changed.path} is gone, or another, since raw_images was made: materialize "
                "raw_images and image_table again."
            )
        return fetched

    @property
    def _home(self) -> Path:
        # Not by its own path: one root may lie in another.
        return self.cache / self.root.bucket.name / fingerprint(self.root.key)[:16]

    @property
    def _mirror(self) -> Mirror:
        return Mirror(self.root, self.folder, self._home / "growing")

    def _listed(self, split: str) -> tuple[Mapping[str, Stored], Mapping[str, Stored]]:
        """A split's photos and archives by name."""
        inside = {f"{split}/{name}": stored for name, stored in (self.root / split).listed(deep=True).items()}
        photos = {name: stored for name, stored in inside.items() if _suffix(name) in EXTENSIONS}
        archives = {
            name: stored for name, stored in inside.items() if name.count("/") == 1 and is_archive(name)
        }
        beside = {name: stored for name, stored in self.root.listed().items() if is_archive(name, of=split)}
        for names in (photos, {**archives, **beside}):
            refuse_unsafe_names(self.root, names)
        return photos, {**archives, **beside}

    def _is_here(self, photo: PhotoFile) -> bool:
        try:
            status = (photo.root / photo.path).stat()
        except FileNotFoundError:
            return False
        # What is unpacked has the time of its unpacking, on whatever machine that was.
        is_object = photo.root == self.folder
        return status.st_size == photo.bytes and (not is_object or status.st_mtime_ns == photo.modified_ns)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
