"""Feature tables to test with: species are well separated clouds unless a test asks otherwise."""

import numpy as np

from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.settings import Recipe

# Species 7 and 30 are venomous.
VENOMOUS = {3: False, 7: True, 12: False, 30: True}
QUICK = Recipe(folds=3)


def species_table(
    classes: tuple[int, ...] = (3, 7, 12, 30),
    observations: int = 6,
    photos: int = 2,
    spread: float = 0.3,
    seed: int = 0,
    prefix: str = "train",
    fingerprint: str | None = "tiny",
) -> FeatureTable:
    """`observations` of `photos` photos for each species, with blocks cls [N, 8] and patch_mean [N, 4]."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(100, 12))
    class_id = np.repeat(np.array(classes, dtype=np.int32), observations * photos)
    vectors = (centres[class_id] + spread * rng.normal(size=(class_id.size, 12))).astype(np.float32)
    return FeatureTable(
        image_id=[f"{prefix}/{row}.jpg" for row in range(class_id.size)],
        observation_id=[f"{prefix} {row // photos}" for row in range(class_id.size)],
        blocks={"cls": vectors[:, :8], "patch_mean": vectors[:, 8:]},
        class_id=class_id,
        sha256=[f"{prefix}-{row}" for row in range(class_id.size)],
        fingerprint=fingerprint,
    )
