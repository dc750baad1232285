"""Species of the answers against those of train, and what chance alone gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.data_quality.class_shift import answer_balance


def test_the_same_frequencies_are_at_no_distance():
    balance = answer_balance([1, 1, 2], {1: 20, 2: 10})
    assert balance.distance == pytest.approx(0)
    assert balance.excess < 0


def test_no_species_in_common_is_the_greatest_distance():
    balance = answer_balance([8, 9], {1: 5, 2: 5})
    assert balance.distance == 1
    assert list(balance.shares)[:1] == [1]
    assert balance.shares[8] == (0, 0.5)


def test_one_species_for_all_is_far_from_train():
    balance = answer_balance([1] * 50, dict.fromkeys(range(10), 30))
    assert balance.distance == pytest.approx(0.9)
    assert balance.excess > 0.7
    assert next(iter(balance.shares)) == 1


def test_the_expected_distance_is_the_mean_over_draws():
    trained = {class_id: 3 * class_id for class_id in range(1, 12)}
    classes, counts = list(trained), np.array(list(trained.values()))
    rng = np.random.default_rng(0)
    drawn = [
        answer_balance(rng.choice(classes, 40, p=counts / counts.sum()).tolist(), trained) for _ in range(400)
    ]
    assert np.mean([balance.distance for balance in drawn]) == pytest.approx(drawn[0].expected, rel=0.02)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.dictionaries(st.integers(0, 5), st.integers(1, 9), min_size=1),
)
def test_distances_are_shares(answers: list[int], trained: dict[int, int]):
    balance = answer_balance(answers, trained)
    assert -1e-9 <= balance.distance <= 1 + 1e-9
    assert 0 <= balance.expected <= 1
    differences = [abs(ours - theirs) for theirs, ours in balance.shares.values()]
    assert differences == sorted(differences, reverse=True)
