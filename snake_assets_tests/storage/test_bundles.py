"""Bundles of files: committed together, checked on opening."""

import hashlib
import json
import os
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
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "_files-1", "_lock", "_manifest.json", "model",
    ]  # fmt: skip
    assert (tmp_path / "b" / "model").samefile(open_bundle(tmp_path / "b").path("model"))


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
    file = open_bundle(tmp_path / "b").path("model")
    (tmp_path / "b" / "model").write_text("x")  # which is the same file by another name
    with pytest.raises(StorageError, match=r"model is changed: materialize b again"):
        open_bundle(tmp_path / "b")
    file.unlink()
    with pytest.raises(StorageError, match="model is missing: materialize b again"):
        open_bundle(tmp_path / "b")
    assert not is_current(tmp_path / "b", {"recipe": "one"})
    fill(tmp_path / "b", "one", model="m")
    assert open_bundle(tmp_path / "b").path("model").read_text() == "m"


def test_nothing_there_says_what_to_do(tmp_path: Path):
    with pytest.raises(StorageError, match="materialize b first"):
        open_bundle(tmp_path / "b")
    fill(tmp_path / "b", "one", model="m")
    with pytest.raises(StorageError, match="holds no card"):
        open_bundle(tmp_path / "b").path("card")


def test_a_plain_name_that_is_gone_or_of_another_file_is_put_right(tmp_path: Path):
    fill(tmp_path / "b", "one", model="m", card="c")
    (tmp_path / "b" / "model").unlink()
    (tmp_path / "b" / "card").unlink()
    (tmp_path / "b" / "card").write_text("of somebody else")
    assert open_bundle(tmp_path / "b").path("card").read_text() == "c"
    assert is_current(tmp_path / "b", {"recipe": "one"})
    bundle = open_bundle(tmp_path / "b")
    assert {name: bundle.shown(name).read_text() for name in bundle.files} == {"model": "m", "card": "c"}


def test_where_there_are_no_hard_links_plain_names_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*given: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    fill(tmp_path / "b", "one", model="m")
    fill(tmp_path / "b", "two", model="n")
    assert (tmp_path / "b" / "model").read_text() == "n"
    assert is_current(tmp_path / "b", {"recipe": "two"})


def test_a_bundle_of_an_earlier_version_opens_and_is_replaced(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model").write_text("m")
    digest = hashlib.sha256(b"m").hexdigest()
    content = {"schema_version": 1, "recipe": {"recipe": "one"}, "files": {"model": digest}}
    (tmp_path / "b" / "_manifest.json").write_text(json.dumps(content))
    assert is_current(tmp_path / "b", {"recipe": "one"})
    fill(tmp_path / "b", "two", model="n")
    assert (tmp_path / "b" / "model").read_text() == "n"


@pytest.mark.parametrize("leading_out", [{"home": "../.."}, {"files": {"../../x": "s"}}, {"files": ["x"]}])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(tmp_path: Path, leading_out: dict[str, object]):
    fill(tmp_path / "b", "one", model="m")
    manifest = tmp_path / "b" / "_manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | leading_out))
    with pytest.raises(StorageError, match=r"is damaged .*materialize b again"):
        open_bundle(tmp_path / "b")
    fill(tmp_path / "b", "two", model="n")
    assert open_bundle(tmp_path / "b").path("model").read_text() == "n"
