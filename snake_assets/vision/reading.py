"""Photos of a table decoded ahead of the model, in batches that never cross a shard."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from snake_assets.storage.manifest import Reject, Shard
from snake_assets.storage.tables import Table
from snake_assets.vision.photos import UnreadablePhoto, decode

if TYPE_CHECKING:
    from snake_assets.vision.preprocessing import Preprocessing

Pixels = npt.NDArray[np.uint8]
PHOTO_COLUMNS = ["image_id", "observation_id", "class_id", "sha256", "image"]


@dataclass(frozen=True)
class PhotoBatch:
    """Decoded photos of one shard.

    `keys` holds image_id, observation_id, class_id and sha256 of the photos in `pixels`, uint8
    [B, h, w, 3] at the backbone's input size; what could not be decoded is in `rejects`.
    """

    shard: Shard
    keys: pa.RecordBatch
    pixels: Pixels
    rejects: list[Reject]


def decode_ahead(
    images: Table,
    shards: Sequence[Shard],
    preprocessing: "Preprocessing",
    *,
    batch_size: int,
    threads: int,
    read_ahead: int,
) -> Iterator[PhotoBatch]:
    """Decode and resize the photos of some shards of `image_table`; every shard gives at least one batch.

    At most `read_ahead` batches, encoded and decoded, are in memory besides the one that was given out.

    Raises:
        StorageError: a shard cannot be read.
    """

    def resized(data: bytes) -> Pixels:
        return preprocessing.resized(decode(data, at_least=preprocessing.needed_side))

    with ThreadPoolExecutor(threads) as decoders:
        waiting: deque[tuple[Shard, pa.RecordBatch, list[Future[Pixels]]]] = deque()
        try:
            for shard in shards:
                for rows in _batches(images, shard, batch_size):
                    photos = [decoders.submit(resized, data) for data in rows.column("image").to_pylist()]
                    waiting.append((shard, rows.drop_columns(["image"]), photos))
                    if len(waiting) > read_ahead:
                        yield _gather(*waiting.popleft(), preprocessing)
            while waiting:
                yield _gather(*waiting.popleft(), preprocessing)
        finally:
            for _, _, photos in waiting:
                for photo in photos:
                    photo.cancel()


def _batches(images: Table, shard: Shard, batch_size: int) -> Iterator[pa.RecordBatch]:
    if shard.rows:
        yield from images.batches(shard, PHOTO_COLUMNS, batch_size)
    else:
        schema = pa.schema([images.schema.field(name) for name in PHOTO_COLUMNS])
        yield pa.RecordBatch.from_pylist([], schema=schema)


def _gather(
    shard: Shard, rows: pa.RecordBatch, photos: Sequence[Future[Pixels]], preprocessing: "Preprocessing"
) -> PhotoBatch:
    decoded: list[Pixels] = []
    kept: list[int] = []
    rejects: list[Reject] = []
    for position, photo in enumerate(photos):
        try:
            decoded.append(photo.result())
            kept.append(position)
        except UnreadablePhoto as fault:
            rejects.append(Reject(rows.column("image_id")[position].as_py(), fault.reason, fault.detail))
    height, width = preprocessing.input_size
    pixels = np.stack(decoded) if decoded else np.empty((0, height, width, 3), dtype=np.uint8)
    return PhotoBatch(shard, rows.take(pa.array(kept, pa.int64())), pixels, rejects)
