"""The embedding tables of a split, or of several, as one feature table."""

from collections.abc import Mapping, Sequence

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
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, DINOV2, refuse_other_versions
from snake_assets.vision.embedding.tables import DCT as DCT_EMBEDDINGS

KEYS = ("image_id", "observation_id", "class_id", "sha256")
# Column of a table -> block.
OF_TOKENS = {"embedding": CLS, **{name: name for name in (PATCH_MEAN, EARLIER_CLS, MIDDLE_MEAN)}}
OF_CROPS = {column: CROP_OF_BLOCK[block] for column, block in {**OF_TOKENS, DCT: DCT}.items()}
# By table.
_SHORT = {DINOV2: "dinov2", DCT_EMBEDDINGS: "dct", CROP_EMBEDDINGS: "crops"}
COLUMNS = {DINOV2: OF_TOKENS, DCT_EMBEDDINGS: {"embedding": DCT}, CROP_EMBEDDINGS: OF_CROPS}


def read_features(*tables: Table, only_cls: bool = False) -> FeatureTable:
    """Join the embedding tables of one split; a test split has no class_id.

    The feature table's fingerprint is that of all their recipes.

    Args:
        tables: `dinov2_embeddings`, then `dct_embeddings` and `crop_embeddings` where they were made.
        only_cls: read no block but `cls`.

    Raises:
        LearningError: the tables do not hold the same photos.
        StorageError: a shard cannot be read, or another version of the code wrote a table.
    """
    return read_splits([tables], only_cls=only_cls)


def read_splits(splits: Sequence[Sequence[Table]], *, only_cls: bool = False) -> FeatureTable:
    """Join the tables of several splits, one after the other: train and val before a refit.

    Vectors go shard by shard into matrices of the final size: at the official size those are 2 GB, and whole
    columns on the way would be as much again. Ids of several splits are marked with the split's number,
    because they are unique within a split only.

    Args:
        splits: the tables of each, as for `read_features`.
        only_cls: read no block but `cls`.

    Raises:
        LearningError: as `read_features`; or splits of other recipes, or only some without class_id.
        StorageError: as `read_features`.
    """
    made = [_fingerprint(tables) for tables in splits]
    if len(set(made)) > 1:
        raise LearningError(
            f"Features of {' and of '.join(map(repr, made))} cannot be joined: compute the embeddings of all "
            "splits with one backbone."
        )
    keys = [tables[0].read(KEYS) for tables in splits]
    ends = np.cumsum([len(own) for own in keys]).tolist()
    blocks: dict[str, npt.NDArray[np.float32]] = {}
    for tables, own, end in zip(splits, keys, ends, strict=True):
        for table in tables[: 1 if only_cls else None]:
            wanted = {"embedding": CLS} if only_cls else COLUMNS[table.manifest.table]
            # A backbone without a grid of tokens has no DCT.
            columns = {name: block for name, block in wanted.items() if name in table.schema.names}
            for column, block in columns.items():
                width = table.schema.field(column).type.list_size
                if block not in blocks:
                    blocks[block] = np.empty((ends[-1], width), np.float32)
            _fill(blocks, table, columns, own["image_id"], end - len(own))
    class_id = pa.chunked_array([chunk for own in keys for chunk in own["class_id"].chunks], pa.int32())
    if 0 < class_id.null_count < ends[-1]:
        raise LearningError("Only some of the photos have a class_id: label all, or none.")
    marks = [""] if len(splits) == 1 else [f"{number}/" for number in range(1, len(splits) + 1)]

    def names(column: str) -> list[str]:
        return [
            mark + name for mark, own in zip(marks, keys, strict=True) for name in own[column].to_pylist()
        ]

    return FeatureTable(
        image_id=names("image_id"),
        observation_id=names("observation_id"),
        blocks=blocks,
        class_id=None if class_id.null_count else class_id.to_numpy(),
        sha256=[digest for own in keys for digest in own["sha256"].to_pylist()],
        fingerprint=made[0],
    )


def _fingerprint(tables: Sequence[Table]) -> str:
    for table in tables:
        refuse_other_versions(table)
    return fingerprint({_SHORT[table.manifest.table]: table.manifest.recipe for table in tables})


def _fill(
    blocks: Mapping[str, npt.NDArray[np.float32]],
    table: Table,
    columns: Mapping[str, str],
    image_id: pa.ChunkedArray,
    first: int,
) -> None:
    """Copy columns of a table into the rows from `first` on of their blocks, if it has these photos."""
    other_photos = LearningError(
        f"{table.manifest.table} and dinov2_embeddings of {table.manifest.split!r} hold other photos: "
        "materialize both again."
    )
    row = first
    for shard in table.manifest.shards:
        rows = table.read_shard(shard, ["image_id", *columns])
        if not rows["image_id"].equals(image_id.slice(row - first, len(rows))):
            raise other_photos
        for column, block in columns.items():
            flat = np.asarray(rows[column].combine_chunks().flatten())
            blocks[block][row : row + len(rows)] = flat.reshape(len(rows), blocks[block].shape[1])
        row += len(rows)
    if row != first + len(image_id):
        raise other_photos
