"""The setting of what runs the passes over photos."""

import pytest

from snake_assets.defs.resources.settings import Engine, SettingError
from snake_assets.vision.inference.ray import RayEngine


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNAKE_ENGINE", raising=False)


def test_it_is_this_process_unless_ray_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    assert Engine().open() is None
    assert Engine(name="ray").open() == RayEngine(None, None)
    monkeypatch.setenv("SNAKE_ENGINE", "ray")
    assert Engine(ray_actors=2, ray_gpus=0.5).open() == RayEngine(2, 0.5)
    assert Engine(name="local").open() is None


def test_nonsense_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_ENGINE", "steam")
    with pytest.raises(SettingError, match="SNAKE_ENGINE"):
        Engine().open()
    for wrong in ({"ray_actors": 0}, {"ray_actors": 1.5}, {"ray_gpus": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Engine(**wrong)
