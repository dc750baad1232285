"""The setting of what runs the passes over photos."""

import pytest

from snake_assets.defs.resources.engine import Engine
from snake_assets.defs.resources.settings import SettingError
from snake_assets.vision.inference.ray import RayEngine


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENGINE", "RAY_ACTORS", "RAY_GPUS"):
        monkeypatch.delenv(f"SNAKE_{name}", raising=False)


def test_it_is_this_process_unless_ray_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    assert Engine().open() is None
    assert Engine(name="ray").open() == RayEngine(None, None)
    monkeypatch.setenv("SNAKE_ENGINE", "ray")
    monkeypatch.setenv("SNAKE_RAY_ACTORS", "3")
    monkeypatch.setenv("SNAKE_RAY_GPUS", "0.5")
    assert Engine().open() == RayEngine(3, 0.5)
    assert Engine(ray_actors=2, ray_gpus=1).open() == RayEngine(2, 1.0)
    assert Engine(name="local").open() is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SNAKE_ENGINE", "steam"),
        ("SNAKE_RAY_ACTORS", "many"),
        ("SNAKE_RAY_ACTORS", "0"),
        ("SNAKE_RAY_ACTORS", "1.5"),
        ("SNAKE_RAY_GPUS", "-1"),
    ],
)
def test_nonsense_is_refused_by_name(variable: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_ENGINE", "ray")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingError, match=variable):
        Engine().open()
