"""Ray that cannot be had is refused with what to do; what goes through Ray comes out as it went in."""

import sys

import numpy as np
import pytest
import torch

from snake_assets.storage import StorageError
from snake_assets.vision.errors import EngineError
from snake_assets.vision.inference.ray import answered, connected, pickled, unpickled


def test_ray_that_is_not_installed_is_told_how_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install 'snake-assets\[ray\]'"), connected(1):
        pass


def test_a_client_from_outside_of_the_cluster_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    with pytest.raises(EngineError, match=r"RAY_ADDRESS=ray://127.*a node of the cluster"), connected(1):
        pass


def test_tensors_and_arrays_come_out_as_they_went_in_and_can_be_written():
    photos = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4)
    given = {"photos": photos, "uneven": [np.zeros((2, 3), np.uint8), np.ones(4)], "none": photos[:0]}
    got = unpickled(pickled(given))
    assert torch.equal(got["photos"], photos) and got["none"].shape == (0, 3, 4)
    for one, other in zip(got["uneven"], given["uneven"], strict=True):
        np.testing.assert_array_equal(one, other)
    got["photos"][0] = 7
    assert photos[0, 0, 0] == 0


def fail() -> None:
    try:
        raise OSError(5, "the disk is away")
    except OSError as error:
        raise StorageError("a shard cannot be read") from error


def test_an_error_comes_with_its_cause_and_its_traceback_even_twice():
    for work in (fail, lambda: unpickled(answered(fail))):
        with pytest.raises(StorageError, match=r"^a shard cannot be read") as raised:
            unpickled(answered(work))
        assert str(raised.value) == "a shard cannot be read"
        assert isinstance(raised.value.__cause__, OSError) and raised.value.__cause__.errno == 5
        assert "in fail" in "".join(raised.value.__notes__)


class TwoWordsError(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


def test_an_error_that_cannot_travel_is_told_in_words():
    def fail() -> None:
        raise TwoWordsError("this", "that")

    with pytest.raises(EngineError, match=r"^TwoWordsError: this and that"):
        unpickled(answered(fail))
