"""Feature tables to test with: species are well separated clouds unless a test asks otherwise."""

from dataclasses import replace

import numpy as np

from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.settings import TrainingSettings

# Species 7 and 30 are venomous.
VENOMOUS = {3: False, 7: True, 12: False, 30: True}
CROPS_TOO = (
    ("cls", "patch_mean"),
    ("crop_cls", "crop_patch_mean"),
    ("cls", "crop_cls"),
    ("average_cls", "average_patch_mean"),
)
QUICK = TrainingSettings(
    feature_sets=(("cls",), ("cls", "patch_mean")),
    shrinkages=(1.0, 0.5),
    weight_decays=(0.03, 0.3),
    average=3,
    folds=3,
    minimum_steps=40,
)


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


def with_crops(table: FeatureTable, spread: float, seed: int = 5) -> FeatureTable:
    """The same photos with crops: crop_cls [N, 8] and crop_patch_mean [N, 4], of another spread."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(100, 12))[table.class_id]
    vectors = (centres + spread * rng.normal(size=centres.shape)).astype(np.float32)
    blocks = {"crop_cls": vectors[:, :8], "crop_patch_mean": vectors[:, 8:]}
    return replace(table, blocks=table.blocks | blocks)
