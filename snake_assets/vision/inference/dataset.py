"""The photos of an `image_table` as a dataset for a model: whole or cut, each known by what is seen of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import pyarrow as pa

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.manifest import Reject, Shard
from snake_assets.storage.tables.table import Table
from snake_assets.vision.preprocessing.regions import (
    DIGEST,
    REGION,
    WHOLE_FRAME,
    Region,
    Regions,
    region_digest,
    unit_made_of,
)

# Column of whether the backbone was fine-tuned on the photo.
SEEN = "seen"


@dataclass(frozen=True)
class Photo:
    """One photo to be seen: its name, what it is known by, its file's bytes, and the part that matters."""

    image_id: str
    known_by: str
    data: bytes
    region: Region


@dataclass(frozen=True)
class PhotoDataset:
    """The photos of one split, a shard of `image_table` at a time. It goes to other processes.

    Whole photos are known by their files' digests. Where they are cut, the region counts too: another box
    makes another row, the same box does not.

    Attributes:
        images: the `image_table`.
        columns: that every table takes over from it, its digest among them; `region` follows where it is cut.
        regions: where the snake is; None for whole photos.
        seen: digests of photos that the model was tuned on: a column `seen` says so of each, and comes last.

    Raises:
        StorageError: a shard cannot be read, or the regions are of other photos.
    """

    images: Table
    columns: Sequence[str]
    regions: Regions | None = None
    seen: Set[str] = frozenset()

    @property
    def known_by(self) -> str:
        """The key column whose equal values mean equal rows, whatever photo they stand for."""
        return REGION if self.regions else DIGEST

    def unit(self, shard: Shard) -> str:
        """The unit of the shards that are made of one of `image_table`."""
        return crop_unit(shard, self.regions) if self.regions else unit_made_of(shard)

    def keys(self, shard: Shard) -> pa.Table:
        """The columns that every table takes over, `image_id` and `known_by` among them, for all rows."""
        keys = self.images.read_shard(shard, self.columns)
        digests = keys[DIGEST].to_pylist()
        if self.regions is not None:
            regions = self.regions.of(shard)
            known_by = [region_digest(digest, regions.get(digest)) for digest in digests]
            keys = keys.append_column(REGION, pa.array(known_by, pa.string()))
        if self.seen:
            keys = keys.append_column(SEEN, pa.array([digest in self.seen for digest in digests]))
        return keys

    def refused(self, shard: Shard) -> Mapping[str, Reject]:
        """Photos that have no region to cut since the finder could not read them; by `known_by`."""
        if self.regions is None:
            return {}
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

    def read(self, shard: Shard, rows: Sequence[int]) -> Iterator[Photo]:
        """Some rows of a shard, by their numbers in ascending order, one row group in memory at a time."""
        regions = self.regions.of(shard) if self.regions else None
        for part in self.images.parts(shard, rows, ["image_id", DIGEST, "image"]):
            for image_id, digest, data in zip(*part.columns, strict=True):
                known_by, region = digest.as_py(), WHOLE_FRAME
                if regions is not None:
                    region = regions[known_by]
                    known_by = region_digest(known_by, region)
                yield Photo(image_id.as_py(), known_by, data.as_py(), region)


def crop_unit(shard: Shard, regions: Regions) -> str:
    """The unit of a shard made of one of `image_table` and of the crops that were found in its photos.

    Raises:
        StorageError: the regions are of other photos.
    """
    return fingerprint([shard.sha256, regions.shard_for(shard).sha256])


@dataclass(frozen=True)
class BatchPlan:
    """The photos of a batch: row numbers of one shard, ascending; none where a shard needs no photo seen."""

    shard: Shard
    rows: tuple[int, ...]


def plan_batches(
    dataset: PhotoDataset, shards: Sequence[Shard], known: Callable[[str], bool], batch_size: int
) -> list[BatchPlan]:
    """Batches of the photos that are not known, each content once; every shard has one batch at least.

    Args:
        dataset: what there is to see.
        shards: those to go through.
        known: whether what is known by a digest needs no look.
        batch_size: photos in a batch; only the last of a shard has fewer.

    Raises:
        StorageError: a shard cannot be read.
    """
    plans: list[BatchPlan] = []
    seen: set[str] = set()
    for shard in shards:
        rows: list[int] = []
        for row, digest in enumerate(dataset.keys(shard)[dataset.known_by].to_pylist()):
            if digest not in seen and not known(digest):
                seen.add(digest)
                rows.append(row)
        starts = range(0, max(1, len(rows)), batch_size)
        plans += [BatchPlan(shard, tuple(rows[start : start + batch_size])) for start in starts]
    return plans
