"""Bundles in a folder; test_everywhere.py has what holds in buckets too."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from snake_assets.storage import StorageError
from snake_assets.storage.bundles import is_current, open_bundle
from snake_assets_tests.storage.test_everywhere import plain, put


def test_the_files_are_those_that_the_docs_name(tmp_path: Path):
    put(tmp_path, "one", model="m", old="o")
    put(tmp_path, "two", model="n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "_files-1", "_lock", "_manifest.json", "model",
    ]  # fmt: skip
    assert (tmp_path / "model").samefile(open_bundle(tmp_path).path("model"))


def test_where_there_are_no_hard_links_plain_names_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*given: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    put(tmp_path, "one", model="m")
    put(tmp_path, "two", model="n")
    assert plain(tmp_path) == {"model": "n"}
    assert is_current(tmp_path, {"recipe": "two"})


def test_a_bundle_of_an_earlier_version_opens_and_is_replaced(tmp_path: Path):
    """Its files lie beside its manifest."""
    (tmp_path / "model").write_text("m")
    digest = hashlib.sha256(b"m").hexdigest()
    content = {"schema_version": 1, "recipe": {"recipe": "one"}, "files": {"model": digest}}
    (tmp_path / "_manifest.json").write_text(json.dumps(content))
    assert is_current(tmp_path, {"recipe": "one"})
    assert open_bundle(tmp_path).path("model").read_text() == "m"
    put(tmp_path, "two", model="n")
    assert plain(tmp_path) == {"model": "n"}


@pytest.mark.parametrize("leading_out", [{"home": "../.."}, {"files": {"../../x": "s"}}, {"files": ["x"]}])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(tmp_path: Path, leading_out: dict[str, object]):
    put(tmp_path / "b", "one", model="m")
    manifest = tmp_path / "b" / "_manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | leading_out))
    with pytest.raises(StorageError, match=r"is damaged .*materialize b again"):
        open_bundle(tmp_path / "b")
    put(tmp_path / "b", "two", model="n")
    assert open_bundle(tmp_path / "b").path("model").read_text() == "n"
