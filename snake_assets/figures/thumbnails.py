"""Small copies of photos, of a bounded number of bytes."""

import io
from collections.abc import Collection

from PIL import Image

from snake_assets.storage.tables import Table
from snake_assets.vision.photos import decode
from snake_assets.vision.unreadable import UnreadablePhoto

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

    Of the photos, only the row groups that hold one of these are read.
    """
    rows = images.matching("image_id", image_ids, ["image_id", "image"])
    small = {name.as_py(): thumbnail(image.as_py()) for name, image in zip(*rows.itercolumns(), strict=True)}
    return {name: shown for name, shown in small.items() if shown is not None}
