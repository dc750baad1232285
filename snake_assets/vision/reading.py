"""Photos of a table decoded ahead of the model, in batches that never cross a shard."""

from collections import deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snake_assets.storage.manifest import Reject, Shard
from snake_assets.storage.tables import Table
from snake_assets.vision.photos import UnreadablePhoto, decode

if TYPE_CHECKING:
    from snake_assets.vision.preprocessing import Preprocessing

Pixels = npt.NDArray[np.uint8]
PHOTO_COLUMNS = ["image_id", "sha256", "image"]


@dataclass(frozen=True)
class PhotoBatch:
    """Decoded photos of one shard.

    `digests` names the photos in `pixels`, uint8 [B, h, w, 3] at the backbone's input size; what could not
    be decoded is in `rejects`, by digest.
    """

    shard: Shard
    digests: list[str]
    pixels: Pixels
    rejects: dict[str, Reject]


@dataclass(frozen=True)
class Encoded:
    """A photo on its way through the decoders."""

    image_id: str
    digest: str
    pixels: Future[Pixels]


def decode_ahead(
    images: Table,
    shards: Sequence[Shard],
    wanted: Container[str],
    preprocessing: "Preprocessing",
    *,
    batch_size: int,
    threads: int,
    read_ahead: int,
) -> Iterator[PhotoBatch]:
    """Decode and resize some photos of `image_table`, shard by shard; every shard gives at least one batch.

    At most `read_ahead` batches, encoded and decoded, are in memory besides the one that was given out.

    Args:
        images: the table.
        shards: those to go through.
        wanted: image_id of the photos to decode; others are passed over.
        preprocessing: gives the size.
        batch_size: photos in a batch; only the last of a shard has fewer.
        threads: that decode.
        read_ahead: batches.

    Raises:
        StorageError: a shard cannot be read.
    """

    def resized(data: bytes) -> Pixels:
        return preprocessing.resized(decode(data, at_least=preprocessing.needed_side))

    with ThreadPoolExecutor(threads) as decoders:
        waiting: deque[tuple[Shard, list[Encoded]]] = deque()
        try:
            for shard in shards:
                for rows in _batches(images, shard, wanted, batch_size):
                    photos = [
                        Encoded(image_id, digest, decoders.submit(resized, data))
                        for image_id, digest, data in rows
                    ]
                    waiting.append((shard, photos))
                    if len(waiting) > read_ahead:
                        yield _gather(*waiting.popleft(), preprocessing)
            while waiting:
                yield _gather(*waiting.popleft(), preprocessing)
        finally:
            for _, photos in waiting:
                for photo in photos:
                    photo.pixels.cancel()


def _batches(
    images: Table, shard: Shard, wanted: Container[str], batch_size: int
) -> Iterator[list[tuple[str, str, bytes]]]:
    """The wanted photos of a shard, `batch_size` at a time; one empty batch where there are none."""
    batch: list[tuple[str, str, bytes]] = []
    given = False
    if any(image_id in wanted for image_id in images.read_shard(shard, ["image_id"])["image_id"].to_pylist()):
        for rows in images.batches(shard, PHOTO_COLUMNS, batch_size):
            for image_id, digest, data in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                if image_id in wanted:
                    batch.append((image_id, digest, data))
                if len(batch) == batch_size:
                    yield batch
                    batch, given = [], True
    if batch or not given:
        yield batch


def _gather(shard: Shard, photos: Sequence[Encoded], preprocessing: "Preprocessing") -> PhotoBatch:
    decoded: dict[str, Pixels] = {}
    rejects: dict[str, Reject] = {}
    for photo in photos:
        try:
            decoded[photo.digest] = photo.pixels.result()
        except UnreadablePhoto as fault:
            rejects[photo.digest] = Reject(photo.image_id, fault.reason, fault.detail)
    height, width = preprocessing.input_size
    pixels = np.stack(list(decoded.values())) if decoded else np.empty((0, height, width, 3), dtype=np.uint8)
    return PhotoBatch(shard, list(decoded), pixels, rejects)
