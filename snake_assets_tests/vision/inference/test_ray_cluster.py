"""Ray that cannot be had is refused with what to do; nothing is started for it."""

import sys

import pytest

from snake_assets.vision.errors import EngineError
from snake_assets.vision.inference.ray import connected


def test_ray_that_is_not_installed_is_told_how_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install 'snake-assets\[ray\]'"), connected(1):
        pass


def test_a_client_from_outside_of_the_cluster_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    with pytest.raises(EngineError, match=r"RAY_ADDRESS=ray://127.*a node of the cluster"), connected(1):
        pass
