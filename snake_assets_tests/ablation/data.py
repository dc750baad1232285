"""Data for steps: separated species, photos that the paper did not read, and what it saw of val."""

from dataclasses import replace
from functools import cache

import numpy as np

from snake_assets.ablation.data import AblationData
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.train import train_classifier
from snake_assets.vision.backbone.features import orthonormal_factors
from snake_assets_tests.learning.tables import QUICK, VENOMOUS, species_table

# A list with species that no photo is of.
LIST = {**VENOMOUS, 1: True, 2: False, 50: False, 60: True}
FACTORS = orthonormal_factors(197, 192)
ENDINGS = (".jpg", ".jpeg", ".JPG", ".png")
OWN = QUICK.model_copy(update={"blocks": ("cls", "patch_mean")})


def table(prefix: str, seed: int, observations: int) -> FeatureTable:
    """Three photos each of some observations per species, with an un-normalised DCT block of 64 columns."""
    plain = species_table(
        observations=observations, photos=3, spread=0.8, seed=seed, prefix=prefix, fingerprint="f"
    )
    spectrum = np.random.default_rng(5).normal(size=(12, 64)) / FACTORS
    dct = np.hstack([plain.blocks["cls"], plain.blocks["patch_mean"]]) @ spectrum
    # Every ninth photo is one of HerpMapper's; endings follow each other within an observation.
    folders = ["HMP" if row % 9 == 8 else "2020" for row in range(len(plain))]
    return replace(
        plain,
        image_id=[
            f"{folder}/Aus_albus/{row}{ENDINGS[row % 4]}"
            for row, folder in zip(range(len(plain)), folders, strict=True)
        ],
        blocks={**plain.blocks, "dct": dct.astype(np.float32)},
    )


@cache
def data() -> AblationData:
    """Not to be changed."""
    train, val = table("train", 0, 8), table("val", 1, 4)
    # Twice rescaled, all photos look nearly the same.
    blank = {name: np.full_like(values, values.std()) for name, values in val.blocks.items()}
    truth = dict(zip(val.observation_id, val.class_id.tolist(), strict=True))
    return AblationData(
        train=train,
        val=val,
        val_rescaled_twice=replace(val, blocks=blank),
        order=list(truth),
        truth=np.array(list(truth.values()), dtype=np.int32),
        venomous=LIST,
        classifier=train_classifier(train, LIST, OWN, "f"),
        dct_factors=FACTORS,
    )
