"""Where raw data comes from: a folder of this machine, or a bucket, by the same few verbs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.official import METADATA, OFFICIAL_FILES, OfficialLayout
from snake_assets.snakeclef.layouts.own import Options
from snake_assets.snakeclef.layouts.recognise import recognise
from snake_assets.snakeclef.metadata import VENOM_LIST
from snake_assets.snakeclef.raw.archives import Archive, find_archives, unpack_all
from snake_assets.snakeclef.raw.photo_files import PhotoFile, is_archive, is_named_as_photo
from snake_assets.storage.fingerprints import file_digest, fingerprint
from snake_assets.storage.objectstore.gcs import BucketPath, Stored
from snake_assets.storage.objectstore.mirror import (
    Fetched,
    Mirror,
    Report,
    refuse_unsafe_names,
    time_of,
)


@dataclass(frozen=True)
class RawListing:
    """What lies in the data folder for a split; whether it changed is told without opening a photo.

    `digest` changes with every file that the split's tables are made from: path, bytes and time of change of
    photos and archives, content of the metadata and of the venom list. `known_as` and `unpacked_at` are those
    of `take_inventory`.
    """

    layout: Layout
    split: str
    photos: tuple[PhotoFile, ...]
    archives: tuple[Archive, ...]
    digest: str
    known_as: str | None = None
    unpacked_at: Path | None = None

    @property
    def data(self) -> Path:
        """Root of the raw data on this machine."""
        return self.layout.root

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a file that could be a photo nor an archive."""
        return all(photo.is_hidden for photo in self.photos) and not self.archives


def as_listing(
    layout: Layout,
    split: str,
    photos: Sequence[PhotoFile],
    archives: Sequence[Archive],
    known_as: str | None = None,
    unpacked_at: Path | None = None,
) -> RawListing:
    """The listing of what was found; what is said of it is read in its layout."""
    said = layout.metadata_files(split)
    digest = fingerprint(
        {
            "photos": [[photo.path, photo.bytes, photo.modified_ns, photo.fault] for photo in photos],
            "archives": [[str(found.path), found.bytes, found.modified_ns] for found in archives],
            "metadata": {path.name: file_digest(path) if path.is_file() else None for path in said},
        }
    )
    return RawListing(layout, split, tuple(photos), tuple(archives), digest, known_as, unpacked_at)


@dataclass(frozen=True)
class BucketData:
    """The official layout below `root`, of which what is needed is fetched into a folder in `cache`."""

    root: BucketPath
    cache: Path

    @property
    def layout(self) -> Layout:
        """The official one: no other is read from a bucket."""
        return OfficialLayout(self.folder)

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
        wanted = {f"{METADATA}/{name}": stored for name, stored in there.items() if name in OFFICIAL_FILES}
        if not wanted:
            raise DataError(
                f"{self.root}/{METADATA} holds none of the official metadata files, such as {VENOM_LIST}: "
                "set SNAKE_DATA to the root of the raw data. Other layouts are read from a folder, not "
                "from a bucket."
            )
        self._mirror.bring(METADATA, wanted)

    def listing(self, split: str) -> RawListing:
        """A split's raw data by listings alone, a request for each thousand objects; raises as `fetch`."""
        photos, archives = self._listed(split)
        self.fetch_metadata()
        return as_listing(
            self.layout,
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
        """Fetch a split's files, or its archives too where none is named as a photo.

        Args:
            split: train, val or test.
            report: as for `Mirror.bring`.

        Raises:
            StorageError: they cannot be listed or fetched, or a name among them cannot be a file's.
        """
        photos, archives = self._listed(split)
        for archive in find_archives(self.folder, split):
            if archive.path.relative_to(self.folder).as_posix() not in archives:
                archive.path.unlink(missing_ok=True)
        needed = {} if any(map(is_named_as_photo, photos)) else archives
        return self._mirror.bring(split, {**photos, **needed}, report)

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
        """A split's files and archives by name."""
        found = (self.root / split).listed(deep=True)
        # Some tools put an empty object in the place of each folder.
        inside = {f"{split}/{name}": stored for name, stored in found.items() if not f"/{name}".endswith("/")}
        photos = {name: stored for name, stored in inside.items() if not is_archive(name)}
        archives = {
            name: stored for name, stored in inside.items() if name.count("/") == 1 and is_archive(name)
        }
        beside = {name: stored for name, stored in self.root.listed().items() if is_archive(name, of=split)}
        for names in (photos, {**archives, **beside}):
            refuse_unsafe_names(self.root, names)
        return photos, {**archives, **beside}

    def _is_here(self, photo: PhotoFile) -> bool:
        if photo.fault:
            return True
        try:
            status = (photo.root / photo.path).stat()
        except FileNotFoundError:
            return False
        # What is unpacked has the time of its unpacking, on whatever machine that was.
        is_object = photo.root == self.folder
        return status.st_size == photo.bytes and (not is_object or status.st_mtime_ns == photo.modified_ns)


@dataclass(frozen=True)
class LocalData:
    """A folder of this machine, where there is nothing to fetch; `link_roots` as for `find_photos`."""

    folder: Path
    link_roots: tuple[Path, ...] = ()
    options: Options = field(default_factory=Options)

    @cached_property
    def layout(self) -> Layout:
        """The layout of the folder, read once. Raises DataError where it has none that is known."""
        return recognise(self.folder, self.options, self.link_roots)

    @property
    def known_as(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def unpacked_at(self, split: str) -> None:
        """None: archives are unpacked beside their table only."""

    def fetch_metadata(self) -> None:
        """Nothing."""

    def listing(self, split: str) -> RawListing:
        """A split's raw data: listed once, and its metadata."""
        return as_listing(self.layout, split, self.layout.photos(split), self.layout.archives(split))

    def fetch(self, split: str, report: Report) -> None:
        """Nothing."""

    def provide(self, split: str, photos: Sequence[PhotoFile], report: Report) -> None:
        """Nothing."""


RawSource = LocalData | BucketData
