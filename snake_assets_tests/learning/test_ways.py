"""Other ways of answering: each rule, the location prior, and votes, on every kind of split."""

import dataclasses

import numpy as np
import pytest

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decisions import RULES
from snake_assets.learning.feature_table import concat
from snake_assets.learning.places import Place
from snake_assets.learning.report import judge
from snake_assets.learning.training import refit, train_classifier
from snake_assets.learning.ways import WITH_PLACES, other_ways
from snake_assets_tests.learning.tables import QUICK, VENOMOUS, species_table

TRAIN = species_table(spread=1.5)
VAL = species_table(observations=3, spread=2.5, seed=1, prefix="val")
ORDER = list(dict.fromkeys(VAL.observation_id))
# Species 3 and 7 live in one country, 12 and 30 in another; 7 and 30 are endemic there.
HOMES = {3: Place("PH", False), 7: Place("PH", True), 12: Place("US", False), 30: Place("US", True)}


def homes(table: object) -> dict[str, Place]:
    return {
        name: HOMES[species]
        for name, species in zip(table.observation_id, table.class_id.tolist(), strict=True)
    }


@pytest.fixture(scope="module")
def placed() -> SpeciesClassifier:
    return train_classifier(TRAIN, VENOMOUS, QUICK, "tiny", places=homes(TRAIN))


def test_every_rule_and_every_vote_has_a_row(placed: SpeciesClassifier) -> None:
    ways = other_ways(placed, TRAIN, VAL, ORDER, homes(VAL))
    for rule in RULES:
        expected = dataclasses.replace(placed, rule=rule).identify(VAL, ORDER).class_id
        assert ways[f"decided by {rule}"].tolist() == expected.tolist()
    assert any("nearest photos" in name for name in ways) and any("mean photo" in name for name in ways)
    assert all(len(answers) == len(ORDER) for answers in ways.values())


def test_places_help_where_they_tell_species_apart(placed: SpeciesClassifier) -> None:
    assert placed.location is not None and placed.selection.location_helps
    truth = [int(VAL.class_id[VAL.observation_id.index(name)]) for name in ORDER]
    ways = other_ways(placed, TRAIN, VAL, ORDER, homes(VAL))
    right = {name: (answers == truth).mean() for name, answers in ways.items()}
    assert right[WITH_PLACES] > right[f"decided by {placed.rule}"]
    own = placed.identify(VAL, ORDER).class_id
    assert placed.identify(VAL, ORDER, {}).class_id.tolist() == own.tolist()


def test_without_places_there_is_no_row_for_them(placed: SpeciesClassifier) -> None:
    assert WITH_PLACES not in other_ways(placed, TRAIN, VAL, ORDER, {})
    nowhere = train_classifier(TRAIN, VENOMOUS, QUICK, "tiny", places={name: Place() for name in ORDER})
    assert nowhere.location is None and nowhere.selection.location is None
    assert WITH_PLACES not in other_ways(nowhere, TRAIN, VAL, ORDER, homes(VAL))


def test_an_observation_without_a_photo_is_answered_in_every_way(placed: SpeciesClassifier) -> None:
    order = ["lost", *ORDER]
    safest = placed.identify(VAL, order).class_id[0]
    for name, answers in other_ways(placed, TRAIN, VAL, order, homes(VAL)).items():
        assert answers[0] == safest, name


def test_a_species_that_train_lacks_is_wrong_in_every_way_and_stops_none(placed: SpeciesClassifier) -> None:
    three = species_table(classes=(3, 7, 12), spread=1.5)
    classifier = train_classifier(three, VENOMOUS, QUICK, "tiny", places=homes(three))
    ways = other_ways(classifier, three, VAL, ORDER, homes(VAL))
    truth = {name: int(VAL.class_id[VAL.observation_id.index(name)]) for name in ORDER}
    found = judge(classifier, three, VAL, ORDER, truth, VENOMOUS, {}, ways)
    assert found.unseen == [30]
    assert len(found.variants) == 1 + len(ways)
    assert all(30 not in answers for answers in ways.values())


def test_a_refit_with_a_new_species_takes_it_to_be_anywhere() -> None:
    three = species_table(classes=(3, 7, 12))
    classifier = train_classifier(three, VENOMOUS, QUICK, "tiny", places=homes(three))
    more = concat(three, species_table(classes=(30,), prefix="val"))
    fitted = refit(classifier, more, VENOMOUS)
    asked = ["PH", "US", None], [None, None, True]
    told = fitted.location.weights(*asked)
    np.testing.assert_allclose(told[:, 3], 0, atol=1e-12)
    np.testing.assert_allclose(told[:, :3], classifier.location.weights(*asked))
