"""Decision rules: cheapest where costs count, and blind to the order of columns."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.decision.rules import (
    RULES,
    DecisionRule,
    argmax,
    decide,
    expected_track1_losses,
    expected_track2_costs,
    known_venom,
    safest_class,
    venom_flags,
    venom_gap,
)
from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import score

Problem = tuple[
    npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.bool_], npt.NDArray[np.float64]
]
# (truth is venomous, answer is venomous) -> weight, as in the organisers' description.
WEIGHTS = {(False, False): 1, (False, True): 2, (True, False): 5, (True, True): 2}


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Probabilities, class_ids, venom flags and a prior in which some species may be missing."""
    classes = draw(st.integers(1, 7))
    rows = draw(st.integers(1, 5))
    masses = draw(st.lists(st.integers(0, 6), min_size=rows * classes, max_size=rows * classes))
    weights = np.array(masses, dtype=np.float64).reshape(rows, classes) + 0.25
    ids = draw(st.lists(st.integers(0, 3000), min_size=classes, max_size=classes, unique=True))
    flags = draw(st.lists(st.booleans(), min_size=classes, max_size=classes))
    seen = draw(st.lists(st.integers(0, 9), min_size=classes, max_size=classes).filter(any))
    return (
        weights / weights.sum(axis=1, keepdims=True),
        np.array(ids, dtype=np.int32),
        np.array(flags),
        np.array(seen) / sum(seen),
    )


def naive_loss(rule: DecisionRule, problem: Problem, answers: npt.NDArray[np.integer]) -> float:
    """Expected loss of all answers when the truths are drawn from the posteriors, one by one."""
    probabilities, ids, flags, prior = problem
    shares = [share or min(prior[prior > 0]) / 2 for share in prior.tolist()]
    column = {int(class_id): number for number, class_id in enumerate(ids)}
    loss = 0.0
    for row, answer in zip(probabilities, answers.tolist(), strict=True):
        for truth, chance in enumerate(row.tolist()):
            given = column[answer]
            if truth == given:
                continue
            weight = WEIGHTS[bool(flags[truth]), bool(flags[given])]
            if rule == "track2":
                loss += chance * weight
                continue
            group = sum(share for share, flag in zip(shares, flags, strict=True) if flag == flags[truth])
            f1 = (1 / (2 * shares[truth]) + 1 / (2 * shares[given])) / len(ids)
            loss += chance * (weight / group + f1)
    return loss


@pytest.mark.parametrize("rule", ["track1", "track2"])
@given(problem=problems())
def test_a_cost_rule_is_never_dearer_than_argmax_or_any_constant(
    rule: DecisionRule, problem: Problem
) -> None:
    probabilities, ids, flags, prior = problem
    own = naive_loss(rule, problem, decide(rule, probabilities, ids, flags, prior))
    others = [argmax(probabilities, ids), *(np.full(len(probabilities), one) for one in ids)]
    assert all(own <= naive_loss(rule, problem, answers) + 1e-9 for answers in others)


@pytest.mark.parametrize("rule", ["track1", "track2"])
@given(problem=problems())
def test_expected_losses_are_those_of_the_naive_loop(rule: DecisionRule, problem: Problem) -> None:
    probabilities, ids, flags, prior = problem
    if rule == "track1":
        losses = expected_track1_losses(probabilities, flags, prior)
    else:
        losses = expected_track2_costs(probabilities, flags)
    assert losses.shape == probabilities.shape and losses.dtype == np.float64
    for answer, class_id in enumerate(ids):
        constant = np.full(len(probabilities), class_id)
        np.testing.assert_allclose(losses[:, answer].sum(), naive_loss(rule, problem, constant), rtol=1e-9)


@pytest.mark.parametrize(
    ("truth", "answer"), [(10, 11), (10, 20), (20, 10), (20, 21)], ids=["h-h", "h-v", "v-h", "v-v"]
)
def test_one_confusion_costs_what_the_official_metric_takes(truth: int, answer: int) -> None:
    venomous = {10: False, 11: False, 20: True, 21: True}
    ids, flags = np.array(list(venomous)), np.array(list(venomous.values()))
    seen = np.array([40, 60, 50, 100])
    truths = np.repeat(ids, seen)
    wrong = truths.copy()
    wrong[np.flatnonzero(truths == truth)[0]] = answer
    certain = (ids == truth)[None, :].astype(float)
    loss = expected_track1_losses(certain, flags, seen / seen.sum())[0, ids.tolist().index(answer)]
    points = loss / seen.sum() * 100 / 11
    # The metric rounds each rate to 0.01, the one of weight 5 counts 5/11; F1 is not quite linear.
    assert 100 - score(truths, wrong, venomous).track1 == pytest.approx(points, abs=0.012)


@given(problems())
def test_expected_costs_are_those_of_the_official_metric(problem: Problem) -> None:
    probabilities, ids, flags, _ = problem
    venomous = dict(zip(ids.tolist(), flags.tolist(), strict=True))
    table = [[score([true], [answer], venomous).track2 for answer in ids] for true in ids]
    np.testing.assert_allclose(
        expected_track2_costs(probabilities, flags), probabilities @ np.array(table), atol=1e-12
    )


def test_a_rare_viper_is_worth_more_false_alarms_to_track1() -> None:
    ids, flags = np.array([10, 20]), np.array([False, True])
    probabilities = np.array([[0.9, 0.1]])
    # One of a few venomous truths is a large share of them: 5 x 0.1 / 0.05 against 2 x 0.9 / 0.95.
    assert decide("track1", probabilities, ids, flags, np.array([0.95, 0.05])).tolist() == [20]
    assert decide("track1", probabilities, ids, flags, np.array([0.5, 0.5])).tolist() == [10]
    assert decide("track2", probabilities, ids, flags, np.array([0.95, 0.05])).tolist() == [10]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("flags", [[True] * 3, [False] * 3, [True, False, True]])
def test_ties_go_to_the_lowest_class_id(rule: DecisionRule, flags: list[bool]) -> None:
    even, ids = np.full((1, 3), 1 / 3), np.array([10, 20, 30])
    lowest = min(
        (class_id for class_id, flag in zip(ids.tolist(), flags, strict=True) if flag == any(flags)),
        default=0,
    )
    answer = decide(rule, even, ids, np.array(flags), np.full(3, 1 / 3))
    assert answer.dtype == np.int32
    assert answer.tolist() == [10 if rule == "argmax" else lowest]


def test_a_species_that_the_prior_never_saw_weighs_like_half_of_the_rarest() -> None:
    ids, flags = np.array([1, 2, 3]), np.array([False, False, True])
    probabilities = np.array([[0.2, 0.3, 0.5]])
    unseen, floored = np.array([0.9, 0.1, 0.0]), np.array([0.9, 0.1, 0.05])
    losses = expected_track1_losses(probabilities, flags, unseen)
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(losses, expected_track1_losses(probabilities, flags, floored))
    assert decide("track1", probabilities, ids, flags, unseen).tolist() == [3]


def test_without_a_photo_the_prior_decides_by_cost() -> None:
    prior, ids = np.array([0.5, 0.3, 0.2]), np.array([1, 2, 3])
    assert safest_class(prior, ids, np.array([False, False, False])) == 1
    assert safest_class(prior, ids, np.array([False, True, True])) == 2


def test_venom_is_known_of_all_species_or_not_at_all() -> None:
    ids, of_all = np.array([1, 5, 6]), {1: True, 5: False, 6: False, 9: True}
    assert venom_flags(ids, of_all).tolist() == [True, False, False]
    assert venom_gap(ids.tolist(), of_all) is None and known_venom(ids.tolist(), of_all) == of_all
    for some in ({1: True}, {}):
        assert venom_flags(ids, some) is None and known_venom(ids.tolist(), some) is None
    gap = venom_gap(ids.tolist(), {1: True}, {5: "Aus albus"})
    assert gap.startswith("2 of 3 species have no venom status, Aus albus (class_id 5) first: Track 1 ")
    probabilities, prior = np.array([[0.2, 0.3, 0.5]]), np.array([0.2, 0.3, 0.5])
    assert safest_class(prior, ids, None) == 6
    assert decide("argmax", probabilities, ids, None, prior).tolist() == [6]
    for rule in ("track1", "track2"):
        with pytest.raises(LearningError, match=f"{rule} weighs venomous.*set the rule argmax"):
            decide(rule, probabilities, ids, None, prior)
