"""Bundles of files: committed together, checked on opening."""

from pathlib import Path

import pytest

from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.errors import StorageError


def fill(folder: Path, recipe: str, **files: str) -> None:
    with write_bundle(folder, {"recipe": recipe}) as aside:
        for name, text in files.items():
            (aside / name).write_text(text)


def test_files_come_back_and_the_recipe_tells_whether_they_are_current(tmp_path: Path):
    fill(tmp_path / "b", "one", model="m", card="c")
    bundle = open_bundle(tmp_path / "b")
    assert bundle.path("model").read_text() == "m"
    assert set(bundle.files) == {"model", "card"}
    assert is_current(tmp_path / "b", {"recipe": "one"})
    assert not is_current(tmp_path / "b", {"recipe": "two"})
    assert not is_current(tmp_path / "nothing", {"recipe": "one"})


def test_files_that_are_not_written_again_go(tmp_path: Path):
    fill(tmp_path / "b", "one", model="m", old="o")
    fill(tmp_path / "b", "two", model="n")
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["_lock", "_manifest.json", "model"]


def test_a_failure_keeps_the_old_bundle(tmp_path: Path):
    fill(tmp_path / "b", "one", model="m")
    with pytest.raises(ZeroDivisionError), write_bundle(tmp_path / "b", {"recipe": "two"}) as aside:
        (aside / "model").write_text("half")
        raise ZeroDivisionError
    assert open_bundle(tmp_path / "b").path("model").read_text() == "m"
    assert is_current(tmp_path / "b", {"recipe": "one"})
    assert not list((tmp_path / "b").glob(".next-*"))


def test_a_changed_or_missing_file_is_an_error(tmp_path: Path):
    fill(tmp_path / "b", "one", model="m")
    (tmp_path / "b" / "model").write_text("x")
    with pytest.raises(StorageError, match=r"model is missing or changed: materialize b again"):
        open_bundle(tmp_path / "b")
    (tmp_path / "b" / "model").unlink()
    with pytest.raises(StorageError, match="missing or changed"):
        open_bundle(tmp_path / "b")


def test_nothing_there_says_what_to_do(tmp_path: Path):
    with pytest.raises(StorageError, match="materialize b first"):
        open_bundle(tmp_path / "b")
    fill(tmp_path / "b", "one", model="m")
    with pytest.raises(StorageError, match="holds no card"):
        open_bundle(tmp_path / "b").path("card")
