"""What all rungs are made from, and what a rung's settings make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from snake_assets.ladder.settings import PhotosRead
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import DCT, FeatureTable


@dataclass(frozen=True, eq=False)
class Material:
    """Photos, truth, and the package's classifier.

    Attributes:
        train: labelled photos of train.
        val: photos to be answered, as they should be seen.
        val_rescaled_twice: the same photos, their pixels divided by 255 twice.
        order: every observation to be answered, with or without a readable photo, O.
        truth: their class_id, int32 [O].
        venomous: the venom list: class_id -> is venomous.
        classifier: trained on train by its own settings; the last rung.
        dct_factors: what un-normalised DCT columns are multiplied by to be orthonormal, float32 [64].
        dct_is_orthonormal: whether those of the tables are so already.
    """

    train: FeatureTable
    val: FeatureTable
    val_rescaled_twice: FeatureTable
    order: Sequence[str]
    truth: npt.NDArray[np.int32]
    venomous: Mapping[int, bool]
    classifier: SpeciesClassifier
    dct_factors: npt.NDArray[np.float32]
    dct_is_orthonormal: bool = False

    def with_dct(self, table: FeatureTable, orthonormal: bool) -> FeatureTable:
        """A table with its DCT block, if it has one, un-normalised or orthonormal."""
        if DCT not in table.blocks or orthonormal == self.dct_is_orthonormal:
            return table
        factors = self.dct_factors if orthonormal else np.reciprocal(self.dct_factors)
        return replace(table, blocks={**table.blocks, DCT: table.blocks[DCT] * factors})


def photos_read(train: FeatureTable, read: PhotosRead) -> FeatureTable:
    """The training photos that are read at all.

    Raises:
        LearningError: none.
    """
    if read == "all":
        return train
    kept = np.array([_is_jpg_of_inaturalist(image_id) for image_id in train.image_id])
    if not kept.any():
        raise LearningError(
            f"None of the {len(train)} training photos is a .jpg of iNaturalist, which are all that the "
            "paper read: the ladder needs photos named so."
        )
    return rows_of(train, kept)


def first_photos(table: FeatureTable) -> FeatureTable:
    """The first photo of every observation."""
    first = np.zeros(len(table), dtype=bool)
    first[np.unique(table.observation_id, return_index=True)[1]] = True
    return rows_of(table, first)


def rows_of(table: FeatureTable, kept: npt.NDArray[np.bool_]) -> FeatureTable:
    """Some of a table's photos, in its order; kept is [N]."""
    rows = np.flatnonzero(kept).tolist()
    return FeatureTable(
        image_id=[table.image_id[row] for row in rows],
        observation_id=[table.observation_id[row] for row in rows],
        blocks={name: values[kept] for name, values in table.blocks.items()},
        class_id=None if table.class_id is None else table.class_id[kept],
        sha256=None if table.sha256 is None else [table.sha256[row] for row in rows],
        fingerprint=table.fingerprint,
    )


def _is_jpg_of_inaturalist(image_id: str) -> bool:
    # HerpMapper's photos lie in a folder of their own (DESIGN.md, section 4).
    path = PurePosixPath(image_id)
    return path.suffix == ".jpg" and path.parts[0] != "HMP"


def class_ids_of(table: FeatureTable) -> npt.NDArray[np.int32]:
    """class_id of every photo, int32 [N]. Raises LearningError where the table has none."""
    if table.class_id is None:
        raise LearningError("The training photos have no class_id: read the features of the train split.")
    return table.class_id
