"""Climbing: each fault costs what it should, and the last rung is the package's classifier."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from snake_assets.ladder.answering import answer
from snake_assets.ladder.climb import Ladder, climb
from snake_assets.ladder.rungs import rungs
from snake_assets.ladder.settings import PaperTrainer, Rung, RungSettings
from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import score
from snake_assets_tests.ladder.materials import LIST, OWN, material

GOOD = RungSettings(
    numbering="class_id",
    photos_read="all",
    rescaled_twice=False,
    one_photo=False,
    trainer=PaperTrainer(features=("cls",), learning_rate=0.05, checkpoint="best", runs=2),
)


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    return climb(rungs(OWN, 3), material())


def with_fault(**faults: object) -> RungSettings:
    return GOOD.model_copy(update=faults)


def test_without_faults_the_species_are_told_apart() -> None:
    truth = material().truth
    for run in answer(material(), GOOD).class_id:
        assert np.mean(run == truth) > 0.9


def test_numbered_by_frequency_the_same_answers_are_other_species() -> None:
    told, numbered = (
        answer(material(), with_fault(numbering=way)).class_id for way in ("class_id", "frequency")
    )
    # All four species are equally frequent, so they are numbered by class_id through the list.
    listed = sorted(LIST)
    assert (numbered == np.array(listed)[np.searchsorted([3, 7, 12, 30], told)]).all()
    assert score(material().truth, numbered[0], LIST).track1 < 60


def test_rescaled_twice_all_observations_get_one_answer() -> None:
    assert all(
        np.unique(run).size == 1 for run in answer(material(), with_fault(rescaled_twice=True)).class_id
    )


def test_ignored_photos_are_not_trained_on() -> None:
    few, all_of_them = (
        answer(material(), with_fault(photos_read=read)) for read in ("jpg_of_inaturalist", "all")
    )
    assert few.photos < all_of_them.photos == len(material().train)


def test_one_photo_decides_alone() -> None:
    stored = material()
    # All but the first photo of an observation look like another species.
    first = np.zeros(len(stored.val), dtype=bool)
    first[::3] = True
    misled = {
        name: np.where(first[:, None], values, np.roll(values, 12, axis=0))
        for name, values in stored.val.blocks.items()
    }
    confusing = replace(stored, val=replace(stored.val, blocks=misled))
    one, pooled = (
        np.mean(answer(confusing, with_fault(one_photo=alone)).class_id == stored.truth)
        for alone in (True, False)
    )
    assert one > 0.8
    assert pooled < 0.3


def test_an_observation_without_a_readable_photo_is_answered_too() -> None:
    stored = material()
    unseen = replace(stored, order=[*stored.order, "unseen"], truth=np.append(stored.truth, np.int32(7)))
    for settings in (GOOD, rungs(OWN, 1)[-1].settings):
        answers = answer(unseen, settings)
        assert answers.class_id.shape[1] == len(stored.truth) + 1
        assert np.isin(answers.class_id, list(LIST)).all()


def test_the_last_rung_answers_as_the_classifier_does(ladder: Ladder) -> None:
    stored = material()
    (told,) = ladder.steps[-1].answers.class_id
    assert (told == stored.classifier.identify(stored.val, stored.order).class_id).all()
    assert ladder.steps[-1].scores["track1"] == score(stored.truth, told, LIST).track1


def test_trained_anew_the_last_rung_is_the_same() -> None:
    stored = material()
    settings = rungs(OWN, 1)[-1].settings
    renamed = stored.classifier.settings.model_copy(update={"epochs": 11})
    anew = replace(stored, classifier=replace(stored.classifier, settings=renamed))
    assert (answer(anew, settings).class_id == answer(stored, settings).class_id).all()


def test_every_rung_has_its_score_and_interval(ladder: Ladder) -> None:
    assert [step.rung for step in ladder.steps] == rungs(OWN, 3)
    assert ladder.observations == len(material().truth)
    assert ladder.steps[0].gain is None
    for step in ladder.steps:
        assert step.scores["track1"] == pytest.approx(np.mean(step.track1_of_runs), abs=0.006)
        assert len(step.track1_of_runs) == len(step.answers.class_id)
        low, high = step.intervals["track1"]
        assert low <= step.scores["track1"] <= high
    for before, step in pairwise(ladder.steps):
        low, high = step.gain
        assert low <= high
        if (step.answers.class_id == before.answers.class_id).all():
            assert (low, high) == (0, 0)


def test_chance_is_stated_for_both_ways_of_guessing(ladder: Ladder) -> None:
    assert ladder.chance["accuracy"] == pytest.approx(25, abs=3)
    assert ladder.chance_of_list["accuracy"] == pytest.approx(12.5, abs=3)
    assert ladder.perfect_by_number is not None
    assert ladder.perfect_by_number < 60
    assert ladder.steps[-1].scores["track1"] > ladder.chance["track1"] + 30


def test_the_same_material_gives_the_same_ladder(ladder: Ladder) -> None:
    again = climb(rungs(OWN, 3)[:4], material())
    for one, other in zip(ladder.steps, again.steps, strict=False):
        assert (one.scores, one.intervals, one.gain) == (other.scores, other.intervals, other.gain)


def test_progress_names_every_rung() -> None:
    lines: list[str] = []
    climb([Rung(name="good", change="", settings=GOOD)], material(), lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("good: Track 1 ")


def test_nothing_to_climb() -> None:
    with pytest.raises(LearningError, match="rung"):
        climb([], material())
