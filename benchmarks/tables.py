"""An `image_table` of many photos, without the detour over as many files."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from benchmarks.common import marked
from snake_assets.snakeclef.image_table import BATCH_ROWS, IMAGE_SCHEMA, SHARD_ROWS
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.decoding.decode import PhotoHeader, probe


def write_images(photos: Sequence[bytes], count: int, folder: Path) -> int:
    """Write an `image_table` of `count` photos, no two alike; returns its bytes."""
    headers = [probe(photo) for photo in photos]
    with write_table(folder, "image_table", "train", IMAGE_SCHEMA, {}) as writer:
        units = [f"from {start}" for start in range(0, count, SHARD_ROWS)]
        for unit, start in zip(units, range(0, count, SHARD_ROWS), strict=True):
            writer.write(unit, _batches(photos, headers, range(start, min(start + SHARD_ROWS, count))))
        return writer.commit(units).bytes


def _batches(
    photos: Sequence[bytes], headers: Sequence[PhotoHeader], numbers: range
) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(numbers), BATCH_ROWS):
        rows = [
            _row(photos[number % len(photos)], headers[number % len(photos)], number)
            for number in numbers[start : start + BATCH_ROWS]
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_SCHEMA)


def _row(photo: bytes, header: PhotoHeader, number: int) -> dict[str, object]:
    data = marked(photo, number)
    return {
        "image_id": f"photo-{number:06}.jpg",
        "observation_id": f"observation-{number // 2}",
        "class_id": number % 7,
        "image": data,
        "width": header.width,
        "height": header.height,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
