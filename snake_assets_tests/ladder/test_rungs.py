"""The rungs: from all faults to the package's own settings, one change at a time."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from snake_assets.ladder.rungs import rungs
from snake_assets.ladder.settings import PaperTrainer, RungSettings
from snake_assets.learning.settings import TrainingSettings
from snake_assets_tests.ladder.materials import OWN

DEFAULT = TrainingSettings()
EVERYTHING = TrainingSettings(
    standardise=(True, False), label_smoothings=(0.0, 0.1), learning_rates=(0.05, 0.1)
)


def differences(before: RungSettings, after: RungSettings) -> list[str]:
    """Names of the settings that differ, those of the trainer one by one unless it is another trainer."""
    names = [name for name in RungSettings.model_fields if getattr(before, name) != getattr(after, name)]
    if "trainer" in names and type(before.trainer) is type(after.trainer):
        names.remove("trainer")
        names += [
            name
            for name in type(before.trainer).model_fields
            if getattr(before.trainer, name) != getattr(after.trainer, name)
        ]
    return names


def test_the_first_rung_has_every_fault() -> None:
    first = rungs(DEFAULT, 20)[0].settings
    assert first == RungSettings(
        numbering="frequency",
        photos_read="jpg_of_inaturalist",
        rescaled_twice=True,
        one_photo=True,
        trainer=PaperTrainer(
            features=("dct",), orthonormal_dct=False, split_by="photo", checkpoint="last", runs=20
        ),
        rule="argmax",
    )


@pytest.mark.parametrize("own", [DEFAULT, OWN, EVERYTHING])
def test_the_last_rung_is_the_packages_own(own: TrainingSettings) -> None:
    last = rungs(own, 20)[-1].settings
    assert last == RungSettings(
        numbering="class_id", photos_read="all", rescaled_twice=False, one_photo=False, trainer=own, rule=None
    )


@pytest.mark.parametrize("own", [DEFAULT, EVERYTHING])
def test_every_rung_changes_one_setting(own: TrainingSettings) -> None:
    ladder = rungs(own, 20)
    for before, after in pairwise(ladder):
        assert len(differences(before.settings, after.settings)) == 1, after.name
    assert len({rung.name for rung in ladder}) == len(ladder)


def test_faults_are_mended_before_anything_is_added() -> None:
    of_the_paper = [rung.is_the_papers for rung in rungs(DEFAULT, 20)]
    assert of_the_paper == sorted(of_the_paper, reverse=True)
    assert sum(of_the_paper) == 8


def test_what_the_classifier_does_without_is_no_rung() -> None:
    bare = OWN.model_copy(
        update={"feature_sets": (("cls",),), "near_duplicates": None, "average": 1, "neighbours": ()}
    )
    names = {rung.name for rung in rungs(bare, 20)}
    assert names < {rung.name for rung in rungs(DEFAULT, 20)}
    assert not names & {"mean patch token", "DCT beside them", "near copies kept together", "heads averaged"}
    assert not names & {"columns not standardised", "labels smoothed", "votes of nearest and mean photos"}


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValidationError):
        rungs(DEFAULT, 0)
    with pytest.raises(ValidationError):
        RungSettings.model_validate({"no_such_fault": True})
