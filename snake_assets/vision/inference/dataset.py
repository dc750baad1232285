"""What a pass shows its model: the photos of `image_table`, whole or cut, each known by what is seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.manifest import Reject, Shard
from snake_assets.storage.tables.table import Table
from snake_assets.vision.keys import DIGEST, REGION, unit_made_of
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region, Regions, region_digest


@dataclass(frozen=True)
class Subject:
    """One photo to be seen: its name, what it is known by, its file's bytes, and the part that matters."""

    image_id: str
    known_by: str
    data: bytes
    region: Region


class Subjects(Protocol):
    """The subjects of one split, a shard of `image_table` at a time. They go to other processes."""

    @property
    def images(self) -> Table:
        """The `image_table`."""

    @property
    def known_by(self) -> str:
        """The key column whose equal values mean equal rows, whatever photo they stand for."""

    def unit(self, shard: Shard) -> str:
        """The unit of the shards that are made of one of `image_table`."""

    def keys(self, shard: Shard) -> pa.Table:
        """The columns that every table takes over, `image_id` and `known_by` among them, for all rows."""

    def refused(self, shard: Shard) -> Mapping[str, Reject]:
        """What cannot be shown, though its file may well be read; by `known_by`."""

    def read(self, shard: Shard, rows: Sequence[int]) -> Iterator[Subject]:
        """Some rows of a shard, by their numbers in ascending order, one row group in memory at a time."""


@dataclass(frozen=True)
class WholePhotos:
    """Photos as they are, known by their files' digests.

    Attributes:
        images: the `image_table`.
        columns: that every table takes over from it, its digest among them.

    Raises:
        StorageError: a shard cannot be read.
    """

    images: Table
    columns: Sequence[str]
    known_by: str = DIGEST

    def unit(self, shard: Shard) -> str:
        """Of the photos alone."""
        return unit_made_of(shard)

    def keys(self, shard: Shard) -> pa.Table:
        """As they stand in `image_table`."""
        return self.images.read_shard(shard, self.columns)

    def refused(self, shard: Shard) -> Mapping[str, Reject]:
        """Nothing: whether a photo can be read is seen when it is."""
        return {}

    def read(self, shard: Shard, rows: Sequence[int]) -> Iterator[Subject]:
        """The photos, with the whole frame as their region."""
        for part in self.images.parts(shard, rows, ["image_id", DIGEST, "image"]):
            for image_id, digest, data in zip(*part.columns, strict=True):
                yield Subject(image_id.as_py(), digest.as_py(), data.as_py(), WHOLE_FRAME)


@dataclass(frozen=True)
class CroppedPhotos:
    """Photos with the region to cut, known by both: another box is another subject, the same box is not.

    Attributes:
        images: the `image_table`.
        columns: that every table takes over from it, its digest among them; `region` follows them.
        regions: where the snake is.

    Raises:
        StorageError: a shard cannot be read, or the regions are of other photos.
    """

    images: Table
    columns: Sequence[str]
    regions: Regions
    known_by: str = REGION

    def unit(self, shard: Shard) -> str:
        """Of the photos and of the crops that were found in them."""
        return crop_unit(shard, self.regions)

    def keys(self, shard: Shard) -> pa.Table:
        """As they stand in `image_table`, and `region`."""
        keys, regions = self.images.read_shard(shard, self.columns), self.regions.of(shard)
        known_by = [region_digest(digest, regions.get(digest)) for digest in keys[DIGEST].to_pylist()]
        return keys.append_column(REGION, pa.array(known_by, pa.string()))

    def refused(self, shard: Shard) -> Mapping[str, Reject]:
        """Photos that the finder could not read: there is no region to cut."""
        rows, regions = self.images.read_shard(shard, ["image_id", DIGEST]), self.regions.of(shard)
        rejects = {reject.image_id: reject for reject in self.regions.shard_for(shard).rejects}
        refused = {}
        for image_id, digest in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            if digest not in regions:
                if image_id not in rejects:
                    raise StorageError(
                        f"The crops of {self.images.manifest.split} neither have photo {image_id} nor reject "
                        "it: remove their folder and materialize them again."
                    )
                refused[region_digest(digest, None)] = rejects[image_id]
        return refused

    def read(self, shard: Shard, rows: Sequence[int]) -> Iterator[Subject]:
        """The photos and their regions."""
        regions = self.regions.of(shard)
        for photo in WholePhotos(self.images, self.columns).read(shard, rows):
            region = regions[photo.known_by]
            yield Subject(photo.image_id, region_digest(photo.known_by, region), photo.data, region)


def crop_unit(shard: Shard, regions: Regions) -> str:
    """The unit of a shard made of one of `image_table` and of the crops that were found in its photos.

    Raises:
        StorageError: the regions are of other photos.
    """
    return fingerprint([shard.sha256, regions.shard_for(shard).sha256])
