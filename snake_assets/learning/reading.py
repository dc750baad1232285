"""The embedding tables of a split, or of several, as one feature table."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

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
from snake_assets.snakeclef.image_table import is_torn
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.tables import (
    CROP_EMBEDDINGS,
    DINOV2,
    of_each_backbone,
    refuse_other_versions,
)
from snake_assets.vision.embedding.tables import DCT as DCT_EMBEDDINGS
from snake_assets.vision.inference.dataset import SEEN

KEYS = ("image_id", "observation_id", "class_id", "sha256")
# Column of a table -> block.
OF_TOKENS = {"embedding": CLS, **{name: name for name in (PATCH_MEAN, EARLIER_CLS, MIDDLE_MEAN)}}
OF_CROPS = {column: CROP_OF_BLOCK[block] for column, block in {**OF_TOKENS, DCT: DCT}.items()}
# By table.
COLUMNS = {DINOV2: OF_TOKENS, DCT_EMBEDDINGS: {"embedding": DCT}, CROP_EMBEDDINGS: OF_CROPS}


def read_splits(
    *splits: Sequence[Table],
    only_cls: bool = False,
    leave_out_copies: bool = False,
    most_photos: int | None = None,
) -> FeatureTable:
    """Join the embedding tables of a split, or of several one after the other: train and val before a refit.

    Vectors go shard by shard into matrices of the final size: at the official size those are 2 GB, and whole
    columns on the way would be as much again. Ids of several splits are marked with the split's number,
    because they are unique within a split only. The fingerprint is `made_by` of all recipes.

    Args:
        splits: of each the `dinov2_embeddings`, then `dct_embeddings` and `crop_embeddings` where they were
            made. Tables of test have no class_id.
        only_cls: read no block but `cls`.
        leave_out_copies: leave out photos that have an exact copy under another species.
        most_photos: where there are more, read those of whole observations, drawn at random.

    Raises:
        LearningError: tables of a split that do not hold the same photos, splits of other recipes, or only
            some of the photos with a class_id.
        StorageError: a shard cannot be read, or another version of the code wrote a table.
    """
    for table in chain(*splits):
        refuse_other_versions(table)
    made = [made_by({table.manifest.table: table.manifest.recipe for table in tables}) for tables in splits]
    if len(set(made)) > 1:
        raise LearningError(
            f"Features of {' and of '.join(map(repr, made))} cannot be joined: compute the embeddings of all "
            "splits with one backbone."
        )
    seen = [SEEN] if SEEN in splits[0][0].schema.names else []
    own = [tables[0].read([*KEYS, *seen]) for tables in splits]
    keys = pa.concat_tables(own)
    if 0 < keys["class_id"].null_count < len(keys):
        raise LearningError("Only some of the photos have a class_id: label all, or none.")
    kept = np.ones(len(keys), dtype=bool)
    if leave_out_copies:
        kept = ~np.array(is_torn(keys["sha256"].to_pylist(), keys["class_id"].to_pylist()))
    if most_photos is not None and most_photos < kept.sum():
        kept &= _of_drawn_observations(keys["observation_id"], most_photos)
    blocks: dict[str, npt.NDArray[np.float32]] = {}
    first, place = 0, np.cumsum(kept) - 1
    for tables, photos in zip(splits, own, strict=True):
        for table in tables[: 1 if only_cls else None]:
            if not table.read(["image_id"])["image_id"].equals(photos["image_id"]):
                raise LearningError(
                    f"{table.manifest.table} and dinov2_embeddings of {table.manifest.split!r} hold other "
                    "photos: materialize both again."
                )
            wanted = {"embedding": CLS} if only_cls else COLUMNS[table.manifest.table]
            # A backbone without a grid of tokens has no DCT.
            columns = [name for name in wanted if name in table.schema.names]
            for name in columns:
                size = int(kept.sum()), table.schema.field(name).type.list_size
                blocks.setdefault(wanted[name], np.empty(size, np.float32))
            row = first
            for shard in table.manifest.shards:
                rows = table.read_shard(shard, columns)
                read = slice(row, row + len(rows))
                for name in columns:
                    block = blocks[wanted[name]]
                    values = np.asarray(rows[name].combine_chunks().flatten())
                    block[place[read][kept[read]]] = values.reshape(-1, block.shape[1])[kept[read]]
                row = read.stop
        first += len(photos)
    keys = keys.filter(pa.array(kept))
    marks = [""] if len(splits) == 1 else [f"{number}/" for number in range(1, len(splits) + 1)]
    mark = np.repeat(marks, [len(photos) for photos in own])[kept].tolist()
    image_id, observation_id = (
        [before + name for before, name in zip(mark, keys[column].to_pylist(), strict=True)]
        for column in ("image_id", "observation_id")
    )
    return FeatureTable(
        image_id=image_id,
        observation_id=observation_id,
        blocks=blocks,
        class_id=None if keys["class_id"].null_count else keys["class_id"].to_numpy(),
        sha256=keys["sha256"].to_pylist(),
        seen=keys[SEEN].to_numpy() if seen else None,
        fingerprint=made[0],
    )


def made_by(recipes: Mapping[str, Mapping[str, Json]]) -> str:
    """How vectors were made, in words that name backbones and view, with a digest of all that decides them.

    Args:
        recipes: table -> recipe; what is said of crops comes last, after " and ".
    """
    whole = {name: recipe for name, recipe in recipes.items() if name != CROP_EMBEDDINGS}
    words = f"{' beside '.join(map(_words_of, of_each_backbone(whole[DINOV2])))} [{fingerprint(whole)[:8]}]"
    if CROP_EMBEDDINGS not in recipes:
        return words
    return f"{words} and crops [{fingerprint(recipes[CROP_EMBEDDINGS])[:8]}]"


def _words_of(backbone: Mapping[str, Any]) -> str:
    look: Mapping[str, Any] = backbone.get("preprocessing") or {}
    how = "padded" if look.get("pad") else "cropped" if look.get("crop") else "squashed"
    side = " x ".join(str(pixels) for pixels in backbone.get("resolution") or ())
    return (
        f"{backbone.get('backbone')} (weights {str(backbone.get('weights'))[:8]}), photos {how} to {side} "
        f"pixels, {backbone.get('precision')}"
    )


def _of_drawn_observations(observation_id: pa.ChunkedArray, most: int) -> npt.NDArray[np.bool_]:
    """Which photos are of observations drawn one by one, of no more than `most` photos together."""
    _, places, photos = np.unique(observation_id.to_numpy(), return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(photos))
    return np.isin(places, order[np.cumsum(photos[order]) <= most])
