"""What a look at raw data tells before anything is run."""

import shutil
from pathlib import Path

import pytest

from snake_assets import cli
from snake_assets_tests.conftest import photo_bytes


def test_a_folder_is_looked_over(
    small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SNAKE_DATA", str(small_set))
    assert cli.main(["check-data"]) == 0
    told = capsys.readouterr().out
    for words in (
        "layout snakeclef",
        "Venom is known of 14 of 14 species.",
        "With fewer than 5 photos in train: ",
        "1 photo of test will be rejected, missing: ",
        "1 photo of train will be rejected, truncated: ",
        "A run can begin.",
    ):
        assert words in told
    for split in ("train", "val", "test"):
        assert f"\n{split} " in told


def test_what_would_stop_a_run_is_told_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = tmp_path / "data"
    for place, seed in (("A b/1", 1), ("A b/2", 2), ("C d/3", 2)):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{place}.jpg").write_bytes(photo_bytes(seed))
    assert cli.main(["check-data", str(root)]) == 0
    told = capsys.readouterr().out
    assert "2 photos have a copy under another species: A b/2.jpg, C d/3.jpg." in told
    assert "Venom is known of 0 of 2 species." in told and "There is no test" in told
    for number in range(3, 9):
        (root / "C d" / f"{number}.jpg").write_bytes(b"")
    assert cli.main(["check-data", str(root)]) == 1
    assert "A run would stop: More than 50% of the photos of train" in capsys.readouterr().out
    shutil.rmtree(root / "C d")
    assert cli.main(["check-data", str(root)]) == 1
    assert "A run would stop: " in capsys.readouterr().out
    (root / "t.csv").write_text("Bild;species\nA b\\1.jpg;A b\n")
    assert cli.main(["check-data", str(root), "--column", "path=Foto"]) == 1
    assert "'Foto'" in capsys.readouterr().out
    assert cli.main(["check-data", str(root), "--column", "Pfad=Bild"]) == 1
    assert "'Pfad' is no field of a table" in capsys.readouterr().out
    assert cli.main(["check-data", str(root / "none")]) == 2
