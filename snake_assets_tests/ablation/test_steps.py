"""The steps: from all faults to the package's own recipe, one change at a time."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from snake_assets.ablation.steps import PaperTrainer, StepSettings, steps
from snake_assets.learning.settings import Recipe
from snake_assets_tests.ablation.data import OWN

DEFAULT = Recipe()


def differences(before: StepSettings, after: StepSettings) -> list[str]:
    """Names of the settings that differ, those of the trainer one by one unless it is another trainer."""
    names = [name for name in StepSettings.model_fields if getattr(before, name) != getattr(after, name)]
    if "trainer" in names and type(before.trainer) is type(after.trainer):
        names.remove("trainer")
        names += [
            name
            for name in type(before.trainer).model_fields
            if getattr(before.trainer, name) != getattr(after.trainer, name)
        ]
    return names


@pytest.mark.parametrize("own", [DEFAULT, OWN])
def test_from_every_fault_to_the_packages_own_one_setting_at_a_time(own: Recipe) -> None:
    found = steps(own, 20)
    assert found[0].settings == StepSettings(trainer=PaperTrainer(runs=20))
    assert found[-1].settings == StepSettings(
        numbering="class_id", photos_read="all", rescaled_twice=False, one_photo=False, trainer=own
    )
    for before, after in pairwise(found):
        assert len(differences(before.settings, after.settings)) == 1, after.name
    assert len({step.name for step in found}) == len(found)
    # Faults are mended before anything is added.
    of_the_paper = [step.is_the_papers for step in found]
    assert of_the_paper == sorted(of_the_paper, reverse=True) and sum(of_the_paper) == 8


def test_what_the_classifier_does_without_is_no_step() -> None:
    bare = Recipe(blocks=("cls",), strengths=(0.1,), shares=(0.0,))
    left_out = {step.name for step in steps(DEFAULT, 20)} - {step.name for step in steps(bare, 20)}
    assert left_out == {
        "weight decay chosen on folds", "mean patch token beside it", "earlier layers beside these",
        "crops beside the whole photos", "votes of the nearest photos",
    }  # fmt: skip


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValidationError):
        steps(DEFAULT, 0)
    with pytest.raises(ValidationError):
        StepSettings.model_validate({"no_such_fault": True})
