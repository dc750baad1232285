"""A small classifier's files, built by hand: training one would take torch, and longer than all cases."""

from pathlib import Path

import numpy as np

from snake_assets.learning.blending import Blend, VoteChoice
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.fitting import LinearModel
from snake_assets.learning.fold_scores import FoldScores
from snake_assets.learning.location import LocationPrior
from snake_assets.learning.references import References, VoteRecipe
from snake_assets.learning.refinement import Selection
from snake_assets.learning.selection import Candidate
from snake_assets.learning.settings import Recipe, TrainingSettings
from snake_assets.learning.standardisation import Standardisation
from snake_assets_tests.fuzz.target import Seed

FEATURES = {"cls": 6, "patch_mean": 3}
CLASSES = 4


def classifier_seeds(folder: Path) -> list[Seed]:
    """The files of two classifiers: heads alone, and blended with votes and places."""
    return [
        Seed(f"{name}/{file.name}", file.read_bytes())
        for name, blended in (("heads", False), ("blend", True))
        for file in _saved(folder / name, blended)
    ]


def _saved(folder: Path, blended: bool) -> list[Path]:
    rng = np.random.default_rng(0)
    scores = FoldScores(
        temperature=1.5, log_loss=0.4, track1=90.0, track2=5, f1=80.0, accuracy=80.0,
        fold_track1=(90.0, 80.0),
        fold_f1=(90.0, 80.0), fold_accuracy=(90.0, 80.0), fold_log_loss=(0.4, 0.5), rules={"argmax": 90.0},
        fold_rules={"argmax": (90.0, 80.0)},
    )  # fmt: skip
    votes = VoteRecipe(k=3, temperature=0.07)
    selection = Selection(
        candidates=(
            Candidate(recipe=Recipe(features=("cls",), shrinkage=0.5, weight_decay=0.1), scores=scores),
        ),
        chosen=0,
        members=(0,),
        alternatives=(),
        pooling="mean",
        votes=VoteChoice(blend=Blend(recipe=votes, share=0.2, scores=scores), taken=True)
        if blended
        else VoteChoice(),
        location_helps=blended,
        scores=scores,
        rule="track1",
        reason="the only one",
        held_out=10,
    )
    width, voting = sum(FEATURES.values()), FEATURES["cls"]
    SpeciesClassifier(
        class_ids=np.array([3, 7, 12, 30], dtype=np.int32),
        features=dict(FEATURES),
        model=_linear(rng, width, CLASSES),
        temperature=1.5,
        pooling="mean",
        rule="track1",
        prior=np.array([0.4, 0.3, 0.2, 0.1]),
        venomous=np.array([False, True, False, True]),
        fingerprint="tiny",
        settings=TrainingSettings(),
        selection=selection,
        references=References(
            _linear(rng, voting, voting),
            rng.normal(size=(8, voting)).astype(np.float32),
            np.arange(8) % CLASSES,
            CLASSES,
            votes,
        )
        if blended
        else None,
        location=LocationPrior(
            code_counts=({"PH": 3}, {}, {"US": 1}, {}),
            endemic_counts=((1, 2), (0, 0), (1, 0), (0, 0)),
            code_strength=10,
            endemic_strength=10,
        )
        if blended
        else None,
    ).save(folder)
    return sorted(folder.iterdir())


def _linear(rng: np.random.Generator, rows: int, columns: int) -> LinearModel:
    standardisation = Standardisation(np.zeros(rows, np.float32), np.ones(rows, np.float32))
    weight = rng.normal(size=(rows, columns)).astype(np.float32)
    return LinearModel(standardisation, weight, np.zeros(columns, np.float32))
