"""The species table: it adds up to the official figures, and shows the gaps in a split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.evaluation.per_species import species_table
from snake_assets.snakeclef.metric import macro_f1

VENOMOUS = dict.fromkeys(range(10), False) | {4: True}
CLASSES = st.integers(0, 6)
PAIRS = st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=50)


def table(truth: list[int], predicted: list[int], train: list[int], names: dict[int, str] | None = None):
    return species_table(np.array(truth), np.array(predicted), np.array(train), names or {}, VENOMOUS)


def test_a_hand_worked_table() -> None:
    found = table([1, 1, 1, 4], [1, 2, 2, 4], [1, 1, 4, 9], {1: "Aus bus", 2: "Cus dus"}).to_dicts()
    assert [row["class_id"] for row in found] == [1, 2, 4, 9]
    first, never_true, venomous, only_trained = found
    assert first == {
        "class_id": 1,
        "species": "Aus bus",
        "venomous": False,
        "train_photos": 2,
        "val_observations": 3,
        "right": 1,
        "answered": 1,
        "recall": pytest.approx(100 / 3),
        "precision": 100.0,
        "f1": 50.0,
        "taken_for": 2,
        "taken_for_species": "Cus dus",
        "taken_for_observations": 2,
    }
    assert (never_true["train_photos"], never_true["recall"], never_true["precision"]) == (0, None, 0.0)
    assert never_true["f1"] == 0.0
    assert venomous["venomous"] and venomous["f1"] == 100.0 and venomous["taken_for"] is None
    assert venomous["species"] == "4"
    assert only_trained["f1"] is None and only_trained["train_photos"] == 1


@given(PAIRS, st.lists(CLASSES, max_size=20))
def test_it_adds_up_to_the_official_figures(pairs: list[tuple[int, int]], train: list[int]) -> None:
    truth, predicted = map(list, zip(*pairs, strict=True))
    found = table(truth, predicted, train)
    assert found["f1"].drop_nulls().mean() == pytest.approx(
        100 * macro_f1(np.array(truth), np.array(predicted))
    )
    assert found["val_observations"].sum() == found["answered"].sum() == len(pairs)
    assert found["train_photos"].sum() == len(train)
    assert found["right"].sum() == sum(true == guess for true, guess in pairs)
    for row in found.to_dicts():
        wrong = [guess for true, guess in pairs if true == row["class_id"] != guess]
        times = {guess: wrong.count(guess) for guess in wrong}
        assert row["taken_for_observations"] == max(times.values(), default=0)
        assert row["taken_for"] == min((g for g in times if times[g] == max(times.values())), default=None)
