"""Small models that several tests of this room look through, and a network that is not there."""

import socket
from pathlib import Path

import pytest

from snake_assets_tests.detection.hub_folders import save_owl, save_sam


@pytest.fixture(scope="session")
def owl_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("owls")
    return {"owlvit": save_owl(root / "owlvit", "owlvit"), "owlv2": save_owl(root / "owlv2", "owlv2")}


@pytest.fixture(scope="session")
def sam_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam(tmp_path_factory.mktemp("sam") / "sam")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
