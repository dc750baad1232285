"""The paper's first fault: species numbered by how often they are photographed, and the number submitted."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError


def numbered_by_frequency(
    class_id: npt.NDArray[np.integer],
    trained_on: npt.NDArray[np.integer],
    venomous: Mapping[int, bool],
) -> npt.NDArray[np.int32]:
    """What the official evaluation reads where the species' numbers are submitted as class_id.

    The paper trained on labels 0, 1, 2, ... in the order of frequency, as Spark's StringIndexer gives them,
    and submitted those. The official list holds every class_id from 0 to 1783, so each number IS the
    class_id of some species, nearly always another one, and is scored as that. A list with gaps (the demo's)
    holds no such species: there the number counts through the list, which is the same on the official one.

    Equally frequent species are numbered by class_id.

    Args:
        class_id: the species meant, [N].
        trained_on: class_id of every photo that was trained on, [M].
        venomous: the venom list.

    Returns:
        class_id as it is read, int32 [N].

    Raises:
        LearningError: a species meant that was not trained on: it has no number.
    """
    species, photos = np.unique(trained_on, return_counts=True)
    unknown = np.setdiff1d(class_id, species)
    if unknown.size:
        raise LearningError(f"class_id {unknown[:5].tolist()} were not trained on, so they have no number.")
    number = np.empty(len(species), dtype=np.int64)
    number[np.lexsort((species, -photos))] = np.arange(len(species))
    listed = np.array(sorted(venomous), dtype=np.int32)
    read: npt.NDArray[np.int32] = listed[number[np.searchsorted(species, class_id)]]
    return read
