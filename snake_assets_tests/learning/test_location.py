"""Places say something about species where they were counted, and nothing where they were not."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from snake_assets.learning.errors import LearningError
from snake_assets.learning.location import LocationPrior, fit_location_prior

CODES: list[str | None] = ["PH", "US", "ZA", None]
Places = tuple[list[str | None], list[bool | None], npt.NDArray[np.int64], int]


@st.composite
def places(draw: st.DrawFn) -> Places:
    """Codes, endemisms and species of observations; some species may have none."""
    classes, observations = draw(st.integers(1, 5)), draw(st.integers(0, 25))

    def several(values: st.SearchStrategy) -> list:  # type: ignore[type-arg]
        return draw(st.lists(values, min_size=observations, max_size=observations))

    labels = np.array(several(st.integers(0, classes - 1)), dtype=np.int64)
    return several(st.sampled_from(CODES)), several(st.sampled_from([True, False, None])), labels, classes


def probabilities(rows: int, classes: int, seed: int = 0) -> npt.NDArray[np.float64]:
    drawn = np.random.default_rng(seed).dirichlet(np.ones(classes), rows)
    drawn[: rows // 2, 0] *= 0
    return np.asarray(drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1e-300))


def test_a_hand_worked_example() -> None:
    codes: list[str | None] = ["PH", "PH", "PH", "US", None]
    prior = fit_location_prior(codes, [None] * 5, np.array([0, 0, 1, 1, 1]), 2, code_strength=2.0)
    # P(PH) = 3/4. Species 0: (2 + 2 x 3/4) / 4 = 7/8, species 1: (1 + 2 x 3/4) / 4 = 5/8.
    ratios = np.log([[7 / 8 / 0.75, 5 / 8 / 0.75], [1 / 8 / 0.25, 3 / 8 / 0.25]])
    np.testing.assert_allclose(prior.weights(["PH", "US"], [None, None]), ratios)
    np.testing.assert_allclose(prior.apply(np.array([[0.5, 0.5]]), ["US"], [None]), [[0.25, 0.75]])


def test_endemism_is_evidence_of_its_own() -> None:
    endemic: list[bool | None] = [True, True, False, False]
    prior = fit_location_prior([None] * 4, endemic, np.array([0, 0, 1, 1]), 2, endemic_strength=2.0)
    np.testing.assert_allclose(
        prior.apply(np.full((2, 2), 0.5), [None] * 2, [True, False]), [[0.75, 0.25], [0.25, 0.75]]
    )


@given(places(), st.sampled_from([None, 0.01, 1.0, 1e5]))
def test_probabilities_stay_probabilities_whatever_is_known(drawn: Places, strength: float | None) -> None:
    codes, endemic, labels, classes = drawn
    prior = fit_location_prior(codes, endemic, labels, classes, strength, strength)
    asked = [*CODES, "XX", "PH"]
    stated: list[bool | None] = [True, None, False, None, True, True]
    assert np.isfinite(prior.weights(asked, stated)).all()
    before = probabilities(6, classes) if classes > 1 else np.ones((6, 1))
    after = prior.apply(before, asked, stated)
    np.testing.assert_allclose(after.sum(axis=1), 1)
    assert ((after > 0) == (before > 0)).all()


@given(places())
def test_what_is_unknown_changes_nothing(drawn: Places) -> None:
    prior = fit_location_prior(*drawn)
    before = probabilities(3, drawn[3], seed=1)
    asked: list[str | None] = [None, "XX", None]
    np.testing.assert_array_equal(prior.apply(before, asked, [None] * 3), before)
    assert not prior.weights(asked, [None] * 3).any()


@given(places(), st.randoms(use_true_random=False))
def test_the_order_of_species_changes_nothing(drawn: Places, random) -> None:  # type: ignore[no-untyped-def]
    codes, endemic, labels, classes = drawn
    order = list(range(classes))
    random.shuffle(order)
    place_of = np.argsort(order)
    weights = fit_location_prior(codes, endemic, labels, classes).weights(CODES, [True, False, None, True])
    shuffled = fit_location_prior(codes, endemic, place_of[labels], classes)
    np.testing.assert_allclose(
        shuffled.weights(CODES, [True, False, None, True]), weights[:, order], atol=1e-12
    )


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=5), st.lists(st.integers(1, 3), min_size=1, max_size=3)
)
def test_where_places_do_not_depend_on_species_nothing_changes(sizes: list[int], shares: list[int]) -> None:
    # Every species is seen under each code in the same proportion.
    cells = [
        (label, code)
        for label, size in enumerate(sizes)
        for code, n in enumerate(shares)
        for _ in range(size * n)
    ]
    codes = [CODES[code] for _, code in cells]
    prior = fit_location_prior(
        codes, [True] * len(cells), np.array([label for label, _ in cells], dtype=int), len(sizes)
    )
    np.testing.assert_allclose(prior.weights(CODES, [True, None, False, True]), 0, atol=1e-12)


def test_a_species_never_seen_in_a_country_is_less_likely_there_but_not_impossible() -> None:
    codes: list[str | None] = ["PH"] * 50 + ["US"] * 50
    prior = fit_location_prior(codes, [False] * 100, np.repeat([0, 1], 50), 3)
    after = prior.apply(np.full((1, 3), 1 / 3), ["US"], [None])[0]
    assert 0 < after[0] < 0.05 < after[2] < after[1]


def test_the_strength_follows_how_much_places_depend_on_species() -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(60), 20)
    names = np.array(["a", "b", "c", "d"])
    anywhere = names[rng.integers(0, 4, labels.size)].tolist()
    own = names[(labels + (rng.random(labels.size) < 0.1)) % 4].tolist()
    unknown = [None] * labels.size
    free, bound = (fit_location_prior(codes, unknown, labels, 60).code_strength for codes in (anywhere, own))
    assert free > 100 > 5 > bound


def test_it_comes_back_from_json() -> None:
    prior = fit_location_prior(["PH", "US", None], [True, None, False], np.array([0, 1, 1]), 3)
    again = LocationPrior.model_validate_json(prior.model_dump_json())
    assert again == prior
    np.testing.assert_array_equal(again.weights(["US"], [True]), prior.weights(["US"], [True]))
    with pytest.raises(ValidationError, match="3 species with codes, 2 with endemism"):
        LocationPrior.model_validate({**prior.model_dump(), "endemic_counts": ((1, 0), (0, 1))})


def test_no_observation_at_all() -> None:
    prior = fit_location_prior([], [], np.zeros(0, dtype=int), 2)
    np.testing.assert_array_equal(prior.apply(np.array([[0.3, 0.7]]), ["PH"], [True]), [[0.3, 0.7]])
    assert prior.apply(np.zeros((0, 2)), [], []).shape == (0, 2)


def test_impossible_requests() -> None:
    prior = fit_location_prior(["PH"], [True], np.array([0]), 2)
    with pytest.raises(LearningError, match="2 country codes but 1"):
        prior.weights(["PH", "US"], [True])
    with pytest.raises(LearningError, match=r"\(1, 3\) for 1 observations of 2 species"):
        prior.apply(np.ones((1, 3)), ["PH"], [True])
    with pytest.raises(LearningError, match="1 country codes, 2 statements of endemism and 1 species"):
        fit_location_prior(["PH"], [True, False], np.array([0]), 2)
    for strength in (0.0, -1.0, float("nan")):
        with pytest.raises(LearningError, match="above 0 and finite"):
            fit_location_prior(["PH"], [True], np.array([0]), 2, code_strength=strength)


@pytest.mark.real
def test_on_the_official_metadata_places_tell_species_apart(shared_data: Path) -> None:
    with (shared_data / "snakeclef-2024-metadata" / "SnakeCLEF2023-ValMetadata.csv").open(
        newline=""
    ) as lines:
        rows = list({row["observation_id"]: row for row in csv.DictReader(lines)}.values())
    labels = np.unique([int(row["class_id"]) for row in rows], return_inverse=True)[1]
    classes = int(labels.max()) + 1
    codes = [row["code"] or None for row in rows]
    endemic = [row["endemic"] == "True" for row in rows]
    teach = np.arange(len(rows)) % 2 == 0
    taught, asked = (np.flatnonzero(half) for half in (teach, ~teach))
    prior = fit_location_prior(
        [codes[row] for row in taught], [endemic[row] for row in taught], labels[taught], classes
    )
    shares = (np.bincount(labels[taught], minlength=classes) + 0.5) / (len(taught) + 0.5 * classes)
    plain = np.tile(shares, (len(asked), 1))
    placed = prior.apply(plain, [codes[row] for row in asked], [endemic[row] for row in asked])
    truth = (np.arange(len(asked)), labels[asked])
    assert -np.log(placed[truth]).mean() < -np.log(plain[truth]).mean() - 1
