"""A small classifier's files, built by hand: training one would take torch, and longer than all cases."""

from pathlib import Path

import numpy as np

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.cross_validation.out_of_fold import Candidate, Choice
from snake_assets.learning.linear_head import LinearHead
from snake_assets.learning.neighbours import Neighbours
from snake_assets.learning.settings import Recipe
from snake_assets_tests.fuzz.target import Seed

FEATURES = {"cls": 6, "patch_mean": 3}
CLASSES = 4


def classifier_seeds(folder: Path) -> list[Seed]:
    """The files of two classifiers: the head alone, and blended with neighbours."""
    return [
        Seed(f"{name}/{file.name}", file.read_bytes())
        for name, share in (("head", 0.0), ("blend", 0.4))
        for file in _saved(folder / name, share)
    ]


def _saved(folder: Path, share: float) -> list[Path]:
    rng = np.random.default_rng(0)
    width, cls = sum(FEATURES.values()), FEATURES["cls"]

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    best = Candidate(
        strength=0.03, share=share, temperature=1.5, log_loss=0.4, track1=90.0, f1=80.0, accuracy=80.0
    )
    SpeciesClassifier(
        class_ids=np.array([3, 7, 12, 30], dtype=np.int32),
        features=dict(FEATURES),
        head=LinearHead(drawn(width), np.ones(width, np.float32), drawn(width, CLASSES), drawn(CLASSES)),
        temperature=1.5,
        neighbours=Neighbours(
            drawn(cls),
            drawn(cls, cls),
            drawn(8, cls).astype(np.float16),
            np.arange(8, dtype=np.int32) % CLASSES,
            CLASSES,
        ),
        share=share,
        rule="track1",
        prior=np.array([0.4, 0.3, 0.2, 0.1]),
        venomous=np.array([False, True, False, True]),
        fingerprint="tiny",
        recipe=Recipe(),
        choice=Choice(candidates=(best,), held_out=10),
    ).save(folder)
    return sorted(folder.iterdir())
