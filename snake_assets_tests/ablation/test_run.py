"""Every fault costs what it should, and the last step is the package's classifier."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from snake_assets.ablation.data import AblationData
from snake_assets.ablation.report import ABLATION_FILE, HEADER, TABLE_FILE, shown, write_ablation
from snake_assets.ablation.run import Ablation, StepResult, run
from snake_assets.ablation.steps import PaperTrainer, Step, StepSettings, steps
from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import score
from snake_assets_tests.ablation.data import LIST, OWN, data

GOOD = StepSettings(
    numbering="class_id",
    photos_read="all",
    rescaled_twice=False,
    one_photo=False,
    trainer=PaperTrainer(features="cls", learning_rate=0.05, checkpoint="best", runs=2),
)


@pytest.fixture(scope="module")
def ablation() -> Ablation:
    return run(steps(OWN, 3), data())


def result(of: AblationData, settings: StepSettings = GOOD, **faults: object) -> StepResult:
    step = Step(name="one", settings=settings.model_copy(update=faults))
    return run([step], of).results[0]


def test_each_fault_costs_what_it_should() -> None:
    stored = data()
    good, numbered, blank, ignoring = (
        result(stored, **fault)
        for fault in (
            {},
            {"numbering": "frequency"},
            {"rescaled_twice": True},
            {"photos_read": "jpg_of_inaturalist"},
        )
    )
    assert all(np.mean(answers == stored.truth) > 0.9 for answers in good.class_id)
    # All four species are equally frequent, so they are numbered by class_id through the list.
    by_number = np.array(sorted(LIST))[np.searchsorted([3, 7, 12, 30], good.class_id)]
    assert (numbered.class_id == by_number).all() and numbered.scores["track1"] < 60
    assert all(np.unique(one).size == 1 for one in blank.class_id)
    assert ignoring.photos < good.photos == len(stored.train)


def test_one_photo_decides_alone() -> None:
    stored = data()
    # All but the first photo of an observation look like another species.
    first = np.zeros(len(stored.val), dtype=bool)
    first[::3] = True
    misled = {
        name: np.where(first[:, None], values, np.roll(values, 12, axis=0))
        for name, values in stored.val.blocks.items()
    }
    confusing = replace(stored, val=replace(stored.val, blocks=misled))
    one, pooled = (
        np.mean(result(confusing, one_photo=alone).class_id == stored.truth) for alone in (True, False)
    )
    assert one > 0.8
    assert pooled < 0.3


def test_an_observation_without_a_readable_photo_is_answered_too() -> None:
    stored = data()
    unseen = replace(stored, order=[*stored.order, "unseen"], truth=np.append(stored.truth, np.int32(7)))
    for settings in (GOOD, steps(OWN, 1)[-1].settings):
        answers = result(unseen, settings).class_id
        assert answers.shape[1] == len(stored.truth) + 1
        assert np.isin(answers, list(LIST)).all()


def test_the_last_step_answers_as_the_classifier_does_and_trained_anew_it_is_the_same(
    ablation: Ablation,
) -> None:
    stored, last = data(), ablation.results[-1]
    (told,) = last.class_id
    assert (told == stored.classifier.identify(stored.val, stored.order).class_id).all()
    assert last.scores["track1"] == score(stored.truth, told, LIST).track1
    renamed = replace(stored.classifier, recipe=stored.classifier.recipe.model_copy(update={"epochs": 11}))
    assert (result(replace(stored, classifier=renamed), last.step.settings).class_id[0] == told).all()


def test_every_step_has_its_score_interval_and_gain_beside_chance(ablation: Ablation) -> None:
    assert [one.step for one in ablation.results] == steps(OWN, 3)
    assert ablation.observations == len(data().truth)
    assert ablation.results[0].gain is None
    for one in ablation.results:
        assert one.scores["track1"] == pytest.approx(np.mean(one.track1_of_runs), abs=0.006)
        assert len(one.track1_of_runs) == len(one.class_id)
        low, high = one.intervals["track1"]
        assert low <= one.scores["track1"] <= high
    for before, one in pairwise(ablation.results):
        low, high = one.gain
        assert low <= high
        if one.class_id.shape == before.class_id.shape and (one.class_id == before.class_id).all():
            assert (low, high) == (0, 0)
    assert ablation.chance["accuracy"] == pytest.approx(25, abs=3)
    assert ablation.chance_of_list["accuracy"] == pytest.approx(12.5, abs=3)
    assert ablation.perfect_by_number is not None and ablation.perfect_by_number < 60
    assert ablation.results[-1].scores["track1"] > ablation.chance["track1"] + 30


def test_files_and_table_tell_every_step(ablation: Ablation, tmp_path: Path) -> None:
    write_ablation(ablation, tmp_path)
    told = json.loads((tmp_path / ABLATION_FILE).read_text())
    rows = pl.read_csv(tmp_path / TABLE_FILE)
    names = [one.step.name for one in ablation.results]
    assert [row["step"] for row in told["steps"]] == rows["step"].to_list() == names
    for row, one, stored in zip(told["steps"], ablation.results, rows.iter_rows(named=True), strict=True):
        assert row["track1"] == one.scores["track1"] == stored["track1"]
        assert row["intervals"]["track1"] == [stored["track1_low"], stored["track1_high"]]
    assert StepSettings.model_validate(told["steps"][0]["settings"]) == ablation.results[0].step.settings
    for before, row in pairwise(told["steps"]):
        assert row["gain"] == round(row["track1"] - before["track1"], 2)
    table = shown(told)
    assert [row[1] for row in table] == names and all(len(row) == len(HEADER) for row in table)


def test_progress_names_every_step_and_none_is_an_error() -> None:
    lines: list[str] = []
    run([Step(name="good", settings=GOOD)], data(), lines.append)
    assert len(lines) == 1 and lines[0].startswith("good: Track 1 ")
    with pytest.raises(LearningError, match="no step"):
        run([], data())
