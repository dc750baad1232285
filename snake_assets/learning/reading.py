"""The embedding tables of a split as one feature table."""

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
from snake_assets.learning.places import NOWHERE, Place
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.tables import CROP_DCT, CROP_DINOV2, CROP_OF

# Columns that any table may have, or none; blocks of the same name.
NAMED_COLUMNS = (PATCH_MEAN, EARLIER_CLS, MIDDLE_MEAN)
EMBEDDING_OF_CROPS = {CROP_DINOV2: CLS, CROP_DCT: DCT}


def read_features(dinov2: Table, dct: Table, *more: Table | None) -> FeatureTable:
    """Join the embedding tables of one split; a test split has no class_id.

    The feature table's fingerprint is that of all their recipes.

    Args:
        dinov2: `dinov2_embeddings`, which has the CLS token and the mean patch.
        dct: `dct_embeddings`.
        more: tables with further columns, such as `layer_embeddings`, or of crops; None where one was not
            made. The blocks of crops are named for it.

    Raises:
        LearningError: the tables do not hold the same photos.
        StorageError: a shard cannot be read.
    """
    others = [table for table in more if table is not None]
    rows = dinov2.read()
    image_id, class_id = rows["image_id"], rows["class_id"]
    blocks = _blocks(rows, CLS) | _blocks(_of_the_same_photos(dct, image_id), DCT)
    for table in others:
        name = table.manifest.table
        found = _blocks(_of_the_same_photos(table, image_id), EMBEDDING_OF_CROPS.get(name))
        of_crops = name in CROP_OF.values()
        blocks |= {CROP_OF_BLOCK[block]: values for block, values in found.items()} if of_crops else found
    return FeatureTable(
        image_id=image_id.to_pylist(),
        observation_id=rows["observation_id"].to_pylist(),
        blocks=blocks,
        class_id=None if class_id.null_count else class_id.to_numpy(),
        sha256=rows["sha256"].to_pylist(),
        fingerprint=fingerprint(
            {
                "dinov2": dinov2.manifest.recipe,
                "dct": dct.manifest.recipe,
                **{table.manifest.table: table.manifest.recipe for table in others},
            }
        ),
    )


def read_places(images: Table) -> dict[str, Place]:
    """Where each observation of an `image_table` was made, by observation_id; what no photo tells is None.

    Raises:
        StorageError: a shard cannot be read.
    """
    rows = images.read(["observation_id", "code", "endemic"])
    places: dict[str, Place] = {}
    for observation, code, endemic in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        before = places.get(observation, NOWHERE)
        places[observation] = Place(
            code if before.code is None else before.code,
            endemic if before.endemic is None else before.endemic,
        )
    return places


def _of_the_same_photos(table: Table, image_id: pa.ChunkedArray) -> pa.Table:
    rows = table.read()
    if not rows["image_id"].equals(image_id):
        raise LearningError(
            f"{table.manifest.table} and dinov2_embeddings of {table.manifest.split!r} hold other photos: "
            "materialize both again."
        )
    return rows


def _blocks(rows: pa.Table, embedding: str | None) -> dict[str, npt.NDArray[np.float32]]:
    """The blocks in a table's columns; `embedding` names the block of the column of that name."""
    columns = {name: name for name in NAMED_COLUMNS} | ({"embedding": embedding} if embedding else {})
    return {block: _matrix(rows[name]) for name, block in columns.items() if name in rows.column_names}


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    return np.asarray(column.combine_chunks().flatten()).reshape(len(column), column.type.list_size)
