"""SNAKE_MEMORY: a size with or without a unit, or none."""

import pytest

from snake_assets.defs.resources.engine import Memory
from snake_assets.defs.resources.settings import SettingError
from snake_assets_tests.defs.assets.test_run import definitions, metadata, run_job
from snake_assets_tests.limits.small_sets import photos_of, write_set


@pytest.mark.parametrize(
    ("text", "size"), [("4GiB", 4 << 30), ("800MB", 800_000_000), ("1000", 1000), ("1.5 GiB", 3 << 29)]
)
def test_sizes(monkeypatch, text, size):
    monkeypatch.setenv("SNAKE_MEMORY", text)
    assert Memory().bytes() == size
    assert Memory(ceiling="7MiB").bytes() == 7 << 20


def test_no_ceiling(monkeypatch):
    monkeypatch.delenv("SNAKE_MEMORY", raising=False)
    assert Memory().bytes() is None


@pytest.mark.parametrize("text", ["much", "0", "-1GiB", "4 gigs"])
def test_what_is_no_size_is_refused(monkeypatch, text):
    monkeypatch.setenv("SNAKE_MEMORY", text)
    with pytest.raises(SettingError, match="SNAKE_MEMORY"):
        Memory().bytes()


def test_the_passes_of_a_run_obey_and_say_so(tmp_path, demo_backbone):
    data = write_set(tmp_path / "data", photos_of("test", [1, 2]), {1: True, 2: False})
    memory = {"memory": Memory(ceiling="16GiB")}
    made = definitions(data, tmp_path / "store", demo_backbone, memory)
    told = metadata(run_job(made, "features", {"dagster/partition": "test"}), "dinov2_embeddings", "test")
    assert told["memory_ceiling_mb"] == 16 << 10
    assert told["batches_in_memory"] >= 1
    assert told["recipe"]["batch_size"] == 16
