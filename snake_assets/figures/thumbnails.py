"""Small copies of photos, of a bounded number of bytes."""

import io
from collections.abc import Collection

from PIL import Image

from snake_assets.storage.tables import Table
from snake_assets.vision.photos import UnreadablePhoto, decode

LONGEST_SIDE = 176
MOST_BYTES = 8 * 1024
QUALITIES = (80, 68, 55, 40, 25, 10)


def thumbnail(data: bytes) -> bytes | None:
    """The whole photo as a JPEG of at most 176 pixels a side and 8 KiB; None if it cannot be decoded."""
    try:
        photo = Image.fromarray(decode(data, at_least=LONGEST_SIDE))
    except UnreadablePhoto:
        return None
    photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        encoded = io.BytesIO()
        photo.save(encoded, "JPEG", quality=quality, optimize=True)
        if encoded.tell() <= MOST_BYTES:
            break
    return encoded.getvalue()


def thumbnails(images: Table, image_ids: Collection[str]) -> dict[str, bytes]:
    """Thumbnails of some photos of `image_table`: image_id -> JPEG; what cannot be decoded has none.

    Only the shards that hold one of the photos are read, a few rows at a time.
    """
    wanted = set(image_ids)
    found: dict[str, bytes] = {}
    for shard in images.manifest.shards:
        names = images.read_shard(shard, ["image_id"])["image_id"].to_pylist()
        if wanted.isdisjoint(names):
            continue
        for batch in images.batches(shard, ["image_id", "image"]):
            for row, name in enumerate(batch["image_id"].to_pylist()):
                small = thumbnail(batch["image"][row].as_py()) if name in wanted else None
                if small is not None:
                    found[name] = small
    return found
