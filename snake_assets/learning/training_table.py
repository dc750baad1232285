"""What a table must be to train on, and what training takes from it."""

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.near_duplicates import duplicate_groups
from snake_assets.learning.settings import FeatureSet, TrainingSettings


def species_of(table: FeatureTable) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The species of a table, ascending, int32 [C], and the column of each photo's, int64 [N].

    Raises:
        LearningError: no photo, no class_id, or a single species.
    """
    if len(table) == 0:
        raise LearningError("The table holds no photo: check that the train split's photos were found.")
    if table.class_id is None:
        raise LearningError("The table has no class_id: a classifier is trained on labelled photos.")
    class_ids, labels = np.unique(table.class_id, return_inverse=True)
    if class_ids.size == 1:
        raise LearningError(f"All photos are of class_id {class_ids[0]}: training needs two species or more.")
    return class_ids, labels.astype(np.int64)


def refuse_useless(table: FeatureTable, fingerprint: str) -> None:
    """Raise LearningError for features of another backbone, or that are the same for all photos."""
    if table.fingerprint is not None and table.fingerprint != fingerprint:
        raise LearningError(
            f"The table's features are of {table.fingerprint!r}, not of {fingerprint!r}: compute the "
            f"embeddings with that backbone, or train a new classifier."
        )
    if all(bool((values == values[:1]).all()) for values in table.blocks.values()):
        raise LearningError(
            f"All {len(table)} photos have the same features: the embeddings of this split are broken, "
            f"compute them again."
        )


def photos_alike(table: FeatureTable, least_cosine: float | None) -> npt.NDArray[np.int64] | None:
    """Group of near copies of each photo, int64 [N]; None where none are looked for, or no CLS is there."""
    # Less their mean: a backbone that was never trained finds all photos alike.
    if least_cosine is None or CLS not in table.blocks:
        return None
    tokens = table.blocks[CLS]
    return duplicate_groups(tokens, least_cosine, centre=tokens.mean(axis=0))


def available_sets(table: FeatureTable, settings: TrainingSettings) -> list[FeatureSet]:
    """The feature sets of which the table has all blocks; LearningError where it has none."""
    available = [names for names in settings.feature_sets if set(names) <= table.dims.keys()]
    if not available:
        raise LearningError(
            f"The table holds the blocks {sorted(table.blocks)}, with which none of the feature sets "
            f"{settings.feature_sets} can be made."
        )
    return available
