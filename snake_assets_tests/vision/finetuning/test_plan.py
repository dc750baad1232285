"""What a training will take is told before it starts, and one that memory does not hold is refused."""

import dataclasses

import pytest
import torch

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.errors import FinetuningError
from snake_assets.vision.finetuning.model import Start
from snake_assets.vision.finetuning.plan import estimated, measured, refuse_too_large
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets_tests.vision.finetuning.conftest import learner_of

PHOTOS, SETTINGS = 1000, FinetuneSettings(batch=4, epochs=2)


def test_measuring_a_few_steps_changes_nothing_and_a_training_too_large_is_refused(
    backbone: Backbone, start: Start
) -> None:
    learner = learner_of(backbone, start)
    before = {name: values.clone() for name, values in learner.module.state_dict().items()}
    cost = measured(backbone, learner, PHOTOS, SETTINGS)
    assert all(torch.equal(before[name], values) for name, values in learner.module.state_dict().items())
    assert all(one.grad is None for one in learner.module.parameters())
    assert cost.seconds == pytest.approx(2000 / cost.photos_per_second)
    assert cost.fits and cost.gib > 0
    refuse_too_large(cost, SETTINGS)
    with pytest.raises(FinetuningError, match=r"more than there is free: halve `batch` \(now 4\)"):
        refuse_too_large(dataclasses.replace(cost, fits=False), SETTINGS)


def test_less_that_learns_takes_less_on_other_devices(backbone: Backbone) -> None:
    full, half, lora, twice = (
        estimated(backbone, PHOTOS, SETTINGS.model_copy(update=change))
        for change in ({}, {"layers": 1}, {"method": "lora", "rank": 1}, {"checkpointing": True})
    )
    assert [cost.device for cost in full] == ["T4", "L4", "H200"]
    assert full[0].seconds > full[1].seconds > full[2].seconds > 0
    for other in (half, lora):
        assert other[0].seconds < full[0].seconds
        assert other[0].gib < full[0].gib
    assert twice[0].seconds > full[0].seconds and twice[0].gib < full[0].gib
