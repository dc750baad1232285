"""The paper's numbering: what a classifier that is never wrong makes of it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snake_assets.ablation.data import numbered_by_frequency
from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.comparison import chance_level
from snake_assets.snakeclef.metadata import read_venom_list
from snake_assets.snakeclef.metric import read_truth, score

LIKE_THE_OFFICIAL_LIST = dict.fromkeys(range(10), False)


@pytest.mark.parametrize(
    ("truth", "trained_on", "venomous", "numbered"),
    [
        ([3, 7, 9], [7, 7, 7, 3, 9, 9], LIKE_THE_OFFICIAL_LIST, [2, 0, 1]),
        ([[8], [2]], [8, 2, 5], LIKE_THE_OFFICIAL_LIST, [[2], [0]]),  # equally frequent: by class_id
        ([40, 20], [40, 40, 20], {40: True, 30: False, 20: False}, [20, 30]),  # gaps are counted through
    ],
)
def test_the_number_is_the_place_in_the_order_of_frequency(truth, trained_on, venomous, numbered) -> None:
    assert numbered_by_frequency(np.array(truth), np.array(trained_on), venomous).tolist() == numbered


def test_a_species_without_a_number_is_named() -> None:
    with pytest.raises(LearningError, match=r"\[4\]"):
        numbered_by_frequency(np.array([4, 3]), np.array([3]), LIKE_THE_OFFICIAL_LIST)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_perfect_classifier_numbered_by_frequency_scores_at_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    venomous = {species: bool(rng.random() < 0.16) for species in range(600)}
    trained_on = rng.choice(600, 4000, p=rng.dirichlet(np.full(600, 0.6)))
    truth = rng.choice(trained_on, 800)
    perfect = score(truth, numbered_by_frequency(truth, trained_on, venomous), venomous)
    assert score(truth, truth, venomous).track1 == 100
    assert perfect.accuracy < 5
    # Numbers of common species are few, so their venom status is luck.
    assert abs(perfect.track1 - chance_level(truth, venomous, list(venomous))["track1"]) < 20


@pytest.mark.real
def test_a_perfect_classifier_scores_at_chance_on_the_official_validation_split(shared_data: Path) -> None:
    folder = shared_data / "snakeclef-2024-metadata"
    venomous = read_venom_list(folder / "venomous_status_list.csv")
    truth = np.array(list(read_truth(folder / "SnakeCLEF2023-ValMetadata.csv").values()))
    with (folder / "class_count.csv").open() as file:
        rows = list(csv.DictReader(file))
    photos = np.repeat([int(row["class_id"]) for row in rows], [int(row["count"]) for row in rows])
    perfect = score(truth, numbered_by_frequency(truth, photos, venomous), venomous)
    assert abs(perfect.track1 - chance_level(truth, venomous, list(venomous))["track1"]) < 3
