"""Decision rules: cheapest where costs count, and blind to the order of columns."""

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.decisions import (
    RULES,
    argmax,
    decide,
    expected_costs,
    least_cost,
    safest_class,
    venom_flags,
)
from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import score

Problem = tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.bool_]]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    classes = draw(st.integers(1, 7))
    rows = draw(st.integers(1, 5))
    masses = draw(st.lists(st.integers(0, 6), min_size=rows * classes, max_size=rows * classes))
    weights = np.array(masses, dtype=np.float64).reshape(rows, classes) + 0.25
    ids = draw(st.lists(st.integers(0, 3000), min_size=classes, max_size=classes, unique=True))
    flags = draw(st.lists(st.booleans(), min_size=classes, max_size=classes))
    return weights / weights.sum(axis=1, keepdims=True), np.array(ids, dtype=np.int32), np.array(flags)


@given(problems())
def test_least_cost_is_never_dearer_than_argmax_or_any_constant(problem: Problem) -> None:
    probabilities, ids, flags = problem
    costs = expected_costs(probabilities, flags)
    column = {int(class_id): number for number, class_id in enumerate(ids)}
    rows = np.arange(len(probabilities))
    own = costs[rows, [column[int(one)] for one in least_cost(probabilities, ids, flags)]]
    likeliest = costs[rows, [column[int(one)] for one in argmax(probabilities, ids)]]
    assert (own <= likeliest + 1e-12).all()
    assert (own[:, None] <= costs + 1e-12).all()


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_columns_changes_nothing(problem: Problem, random: Random) -> None:
    probabilities, ids, flags = problem
    order = list(range(len(ids)))
    random.shuffle(order)
    for rule in RULES:
        np.testing.assert_array_equal(
            decide(rule, probabilities, ids, flags),
            decide(rule, probabilities[:, order], ids[order], flags[order]),
        )


@given(problems())
def test_expected_costs_are_those_of_the_official_metric(problem: Problem) -> None:
    probabilities, ids, flags = problem
    venomous = dict(zip(ids.tolist(), flags.tolist(), strict=True))
    table = [[score([true], [answer], venomous).track2 for answer in ids] for true in ids]
    np.testing.assert_allclose(
        expected_costs(probabilities, flags), probabilities @ np.array(table), atol=1e-12
    )


def test_a_likely_viper_is_worth_a_false_alarm() -> None:
    ids, flags = np.array([10, 20]), np.array([False, True])
    probabilities = np.array([[0.7, 0.3], [0.72, 0.28]])
    # Calling it harmless costs 5 x 0.3 = 1.5, calling it venomous 2 x 0.7 = 1.4; then 1.4 against 1.44.
    assert least_cost(probabilities, ids, flags).tolist() == [20, 10]
    assert argmax(probabilities, ids).tolist() == [10, 10]


def test_ties_go_to_the_lowest_class_id() -> None:
    even = np.full((1, 3), 1 / 3)
    ids = np.array([30, 10, 20])
    assert argmax(even, ids).tolist() == [10]
    assert least_cost(even, ids, np.array([True, True, True])).tolist() == [10]


def test_without_a_photo_the_prior_decides_by_cost() -> None:
    prior, ids = np.array([0.5, 0.3, 0.2]), np.array([1, 2, 3])
    assert safest_class(prior, ids, np.array([False, False, False])) == 1
    assert safest_class(prior, ids, np.array([False, True, True])) == 2


def test_a_venom_list_that_lacks_a_species_is_named() -> None:
    assert venom_flags([1, 2], {1: True, 2: False}).tolist() == [True, False]
    with pytest.raises(LearningError, match=r"lacks 2 species.*\[5, 6\]"):
        venom_flags([1, 5, 6], {1: True})
