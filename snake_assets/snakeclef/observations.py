"""A split's observations as its metadata has them, held against the photos that were read."""

from collections.abc import Sequence

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.storage.tables import Table


def observation_order(rows: Sequence[PhotoRow], images: Table) -> list[str]:
    """Observation ids in the metadata's order, those without a readable photo among them.

    Args:
        rows: the split's metadata now.
        images: the split's `image_table`.

    Raises:
        DataError: the metadata has changed since the table was made.
    """
    told = {row.image_id for row in rows}
    read = set(images.read(["image_id"])["image_id"].to_pylist())
    rejected = {reject.image_id for reject in images.manifest.rejects}
    if told != read | rejected:
        differing = sorted(told ^ (read | rejected))
        raise DataError(
            f"The metadata of {images.manifest.split!r} has changed since image_table was made "
            f"({len(differing)} photos differ, {differing[0]!r} first): materialize raw_images, image_table "
            "and the embeddings of this split again."
        )
    return list(dict.fromkeys(row.observation_id for row in rows))


def observation_truth(rows: Sequence[PhotoRow]) -> dict[str, int]:
    """observation_id -> class_id of its first photo, for a labelled split."""
    truth: dict[str, int] = {}
    for row in rows:
        if row.class_id is not None:
            truth.setdefault(row.observation_id, row.class_id)
    return truth
