"""The summary in a terminal says what is missing before it says anything else."""

from pathlib import Path

import pytest

from snake_assets import cli
from snake_assets.defs.resources.storage import Store
from snake_assets.storage import StorageError
from snake_assets.summary import summary


def test_an_empty_store_says_what_to_materialize(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SNAKE_STORE", str(tmp_path))
    with pytest.raises(StorageError, match="materialize"):
        summary(Store())
    assert cli.main(["summary"]) == 2
    assert "materialize" in capsys.readouterr().err
