"""The paper's trainer: its faults are settings, and each of them shows."""

from dataclasses import replace

import numpy as np
import pytest

from snake_assets.ablation.paper_trainer import train_as_the_paper
from snake_assets.ablation.steps import PaperTrainer
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets_tests.ablation.data import data
from snake_assets_tests.learning.tables import species_table

CLS = PaperTrainer(features="cls", learning_rate=0.05)


def alike_within_observations() -> FeatureTable:
    """Photos of an observation are copies but for a little; observations say nothing of their species."""
    rng = np.random.default_rng(3)
    plain = species_table(observations=20, photos=5)
    snakes = np.repeat(rng.normal(size=(len(plain) // 5, 60)), 5, axis=0)
    return replace(plain, blocks={"cls": (snakes + 0.05 * rng.normal(size=snakes.shape)).astype(np.float32)})


def test_a_split_by_photo_flatters_itself() -> None:
    table = alike_within_observations()
    by_photo, by_observation = (
        train_as_the_paper(table, CLS.model_copy(update={"split_by": unit, "epochs": 30}), 0)
        for unit in ("photo", "observation")
    )
    assert by_photo.leaked > 0.9
    assert by_observation.leaked == 0
    # Four species by chance: 25 %.
    assert by_photo.accuracy > 80
    assert by_observation.accuracy < 50


def test_copies_are_torn_apart_by_photo_alone() -> None:
    table = species_table(observations=12, photos=1)
    twins = replace(table, sha256=[str(row // 2) for row in range(len(table))])
    sides = [
        train_as_the_paper(twins, CLS.model_copy(update={"split_by": "observation"}), run) for run in (0, 1)
    ]
    assert all(trained.leaked == 0 for trained in sides)


def test_the_best_checkpoint_has_the_least_held_out_loss_and_without_progress_training_ends() -> None:
    noisy = species_table(spread=3.0, observations=10)
    settings = PaperTrainer(features="cls", learning_rate=2.0)
    last, best = (
        train_as_the_paper(noisy, settings.model_copy(update={"checkpoint": which}), 0)
        for which in ("last", "best")
    )
    assert last.losses == best.losses
    assert last.submitted == len(last.losses)
    assert best.losses[best.submitted - 1] == min(best.losses) < last.losses[-1]
    patient = settings.model_copy(update={"epochs": 40, "patience": 2})
    losses = train_as_the_paper(noisy, patient, 0).losses
    assert len(losses) < 40 and int(np.argmin(losses)) == len(losses) - 3


def test_a_dct_of_huge_numbers_trains_worse_than_an_orthonormal_one() -> None:
    stored = data()
    dct = stored.train.blocks["dct"]
    noisy = dct + np.random.default_rng(0).normal(0, 3 * dct.std(), dct.shape).astype(np.float32)
    train = replace(stored.train, blocks={"dct": noisy})
    raw, orthonormal = (
        train_as_the_paper(stored.with_dct(train, scaled), PaperTrainer(), 0) for scaled in (False, True)
    )
    assert min(raw.losses) > 3 * min(orthonormal.losses)


def test_standardised_features_only_where_asked_for() -> None:
    plain, standardised = (
        train_as_the_paper(data().train, PaperTrainer(standardised=choice), 0) for choice in (False, True)
    )
    assert (plain.head.scale == 1).all()
    assert (standardised.head.scale > 1).all()
    assert abs(standardised.head.weight).max() < 0.1


def test_runs_differ_and_repeat() -> None:
    table = data().train
    first, again, second = (train_as_the_paper(table, CLS, run) for run in (0, 0, 1))
    assert first.head.weight.tobytes() == again.head.weight.tobytes()
    assert first.losses != second.losses


def test_a_single_species_is_refused() -> None:
    with pytest.raises(LearningError, match="two species"):
        train_as_the_paper(species_table(classes=(3,)), CLS, 0)
