"""The embedding tables of a split as one feature table."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import (
    CLS,
    CROP_OF_BLOCK,
    DCT,
    EARLIER_CLS,
    MIDDLE_MEAN,
    PATCH_MEAN,
    FeatureTable,
)
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.tables import refuse_other_versions

KEYS = ("image_id", "observation_id", "class_id", "sha256")
# Column of a table -> block.
OF_TOKENS = {"embedding": CLS, **{name: name for name in (PATCH_MEAN, EARLIER_CLS, MIDDLE_MEAN)}}


def read_features(
    dinov2: Table, dct: Table, crops: Table | None = None, *, only_cls: bool = False
) -> FeatureTable:
    """Join the embedding tables of one split; a test split has no class_id.

    The feature table's fingerprint is that of all their recipes.

    Args:
        dinov2: `dinov2_embeddings`.
        dct: `dct_embeddings`.
        crops: `crop_embeddings`, whose blocks are named for it; None where it was not made.
        only_cls: read no block but `cls`: at the official size all of them are 2 GB.

    Raises:
        LearningError: the tables do not hold the same photos.
        StorageError: a shard cannot be read, or another version of the code wrote a table.
    """
    tables = {"dinov2": dinov2, "dct": dct, **({"crops": crops} if crops else {})}
    for table in tables.values():
        refuse_other_versions(table)
    rows = dinov2.read([*KEYS, "embedding"] if only_cls else None)
    image_id, class_id = rows["image_id"], rows["class_id"]
    blocks = _blocks(rows, {"embedding": CLS} if only_cls else OF_TOKENS)
    if not only_cls:
        blocks |= _blocks(_of_the_same_photos(dct, image_id), {"embedding": DCT})
    if crops and not only_cls:
        found = _blocks(_of_the_same_photos(crops, image_id), {**OF_TOKENS, DCT: DCT})
        blocks |= {CROP_OF_BLOCK[block]: values for block, values in found.items()}
    return FeatureTable(
        image_id=image_id.to_pylist(),
        observation_id=rows["observation_id"].to_pylist(),
        blocks=blocks,
        class_id=None if class_id.null_count else class_id.to_numpy(),
        sha256=rows["sha256"].to_pylist(),
        fingerprint=fingerprint({name: table.manifest.recipe for name, table in tables.items()}),
    )


def _of_the_same_photos(table: Table, image_id: pa.ChunkedArray) -> pa.Table:
    rows = table.read()
    if not rows["image_id"].equals(image_id):
        raise LearningError(
            f"{table.manifest.table} and dinov2_embeddings of {table.manifest.split!r} hold other photos: "
            "materialize both again."
        )
    return rows


def _blocks(rows: pa.Table, columns: Mapping[str, str]) -> dict[str, npt.NDArray[np.float32]]:
    return {block: _matrix(rows[column]) for column, block in columns.items()}


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    return np.asarray(column.combine_chunks().flatten()).reshape(len(column), column.type.list_size)
