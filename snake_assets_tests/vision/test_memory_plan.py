"""What a pass keeps in memory is planned below its ceiling, and refused where nothing can be."""

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.detection.detect import FindingSettings
from snake_assets.vision.embedding.settings import EmbeddingSettings
from snake_assets.vision.errors import EmbeddingError, EngineError, MemoryCeilingError
from snake_assets.vision.inference.ray import RayEngine
from snake_assets.vision.memory_plan import BATCH_PART, PassNeeds, batch_under, plan_pass
from snake_assets.vision.room import Room

SIZES = st.integers(0, 1 << 33)


@given(SIZES, SIZES, st.integers(1, 1 << 28), SIZES, SIZES, st.integers(1, 64))
def test_a_plan_stays_below_its_ceiling_or_says_what_would_do(ceiling, before, pixels, model, table, most):
    needs = PassNeeds(before, pixels, model, table)
    try:
        plan = plan_pass(ceiling, needs, most)
    except MemoryCeilingError as refused:
        enough = int(re.search(r"SNAKE_MEMORY to (\d+)MiB", str(refused))[1]) << 20
        assert enough > ceiling
        plan = plan_pass(enough, needs, most)
    assert 1 <= plan.batches <= most
    assert plan.decoding > 0
    assert before + model + table + (plan.batches + 1) * pixels + plan.decoding < plan.ceiling


@given(st.integers(1, 4096), st.integers(1, 1 << 30), st.none() | SIZES)
def test_a_batch_takes_its_part_of_the_ceiling(default, a_photo, ceiling):
    batch = batch_under(ceiling, default, a_photo.__mul__)
    assert 1 <= batch <= default
    if ceiling is None:
        assert batch == default
    elif batch > 1:
        assert BATCH_PART * batch * a_photo <= ceiling


def test_processes_share_no_ceiling():
    with pytest.raises(EmbeddingError, match="leave `processes` at auto"):
        EmbeddingSettings(processes="always", ceiling=1 << 30)


@pytest.mark.parametrize("settings", [EmbeddingSettings, FindingSettings])
def test_a_ceiling_is_none_for_ray(settings: type):
    with pytest.raises(EngineError, match="unset SNAKE_MEMORY, or SNAKE_ENGINE"):
        settings(ray=RayEngine(), ceiling=1 << 30)


def test_a_photo_waits_until_there_is_room():
    room, order = Room(100, 1000), []

    def second() -> None:
        with room.for_a_photo("b") as take:
            take(80)
            order.append("b")

    waiting = threading.Thread(target=second)
    with room.for_a_photo("a") as take:
        take(30)
        waiting.start()
        take(70)  # asked anew, as for a damaged JPEG: what it had is its own no longer
        order.append("a")
    waiting.join(10)
    assert sorted(order) == ["a", "b"]
    with room.for_a_photo("c") as take:
        take(100)  # all was given back


def test_a_photo_that_never_fits_is_named():
    with Room(100, 1000).for_a_photo("big.jpg") as take, pytest.raises(MemoryCeilingError, match="big"):
        take(101)
