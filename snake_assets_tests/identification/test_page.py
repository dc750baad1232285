"""The page's answers and refusals; how it looks and behaves in a browser: browser/test_page.py."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from snake_assets import cli
from snake_assets.identification import load_package
from snake_assets.identification.exports import Answer, Level
from snake_assets.identification.identify import Crops
from snake_assets.identification.page import FORGOTTEN_S, Page
from snake_assets.identification.page_answer import Danger, percent
from snake_assets.identification.thresholds import Species
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.marks import Finds
from snake_assets_tests.identification.conftest import NAMES, Made

MIDDLE = Region(0.25, 0.25, 0.75, 0.75, 0.9, "snake")


@pytest.fixture
def page(made: Made, tmp_path: Path) -> Page:
    (tmp_path / "uploads").mkdir()
    return Page(load_package(made.folder, "cpu"), made.folder, tmp_path / "uploads")


def uploaded(page: Page, photos: Sequence[tuple[str, bytes]]) -> list[dict[str, str]]:
    """Photos as gradio keeps them."""
    told = []
    for number, (name, data) in enumerate(photos):
        path = page.uploads / f"digest {number}" / "upload"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        told.append({"path": str(path), "name": name})
    return told


def test_kept_photos_lie_in_their_folder_with_a_line_each_and_uploads_are_gone(
    page: Page, made: Made, tmp_path: Path
):
    photos = uploaded(page, [("a.PNG", made.photos[0][0].read_bytes()), ("b<i>.jpg", b"none")])
    old = page.uploads / "old"
    old.mkdir()
    (old / "forgotten").write_bytes(b"photo")
    os.utime(old, (0, old.stat().st_mtime - 2 * FORGOTTEN_S))
    html = replace(page, keep=tmp_path / "kept").answer(photos, "IN", True)
    assert "Naja naja" in html and "<b>b&lt;i&gt;.jpg</b> cannot be read. The bytes are no JPEG" in html
    assert not old.exists() and not [path for path in page.uploads.rglob("*") if path.is_file()]
    lines = [json.loads(line) for line in (tmp_path / "kept" / "kept.jsonl").read_text().splitlines()]
    assert [(line["path"], line["level"], line["country"]) for line in lines] == [
        ("a.PNG", "species", "IN"),
        ("b<i>.jpg", "unreadable", "IN"),
    ]
    assert (tmp_path / "kept" / lines[0]["file"]).read_bytes() == made.photos[0][0].read_bytes()
    # Without a folder to keep them in, and without the user's word, none is.
    page.answer(uploaded(page, [("a.png", b"none")]), "", True)
    replace(page, keep=tmp_path / "none").answer(uploaded(page, [("a.png", b"none")]), "", False)
    assert not (tmp_path / "none").exists()


def test_a_request_can_name_nothing_but_uploads(page: Page, made: Made, tmp_path: Path):
    mine = tmp_path / "mine.png"
    mine.write_bytes(made.photos[0][0].read_bytes())
    for path in (mine, page.uploads / ".." / "mine.png", page.uploads / "gone" / "upload", page.uploads):
        html = page.answer([{"path": str(path), "name": "mine.png"}], "", False)
        assert "no longer on the server" in html and "Naja" not in html
    assert mine.exists() and page.uploads.exists()
    assert "--country XX" in page.answer(uploaded(page, [("a.png", mine.read_bytes())]), "XX", False)


def test_what_was_cut_out_is_shown_where_a_detector_is_on(page: Page, made: Made):
    photo = [("a.png", made.photos[0][0].read_bytes())]
    assert "ut out" not in page.answer(uploaded(page, photo), "", False)
    for regions, told in [((MIDDLE,), "Cut out: the snake"), ((), "No snake was found to be cut out")]:
        crops = Crops(Finds(regions), CropInput(page.package.backbone.preprocessing, CropSettings()))
        looking = replace(page, package=replace(page.package, crops=crops))
        assert told in looking.answer(uploaded(page, photo), "", False)


def test_a_model_without_venom_calls_nothing_venomous_and_nothing_harmless(page: Page, made: Made):
    species = Species.of(NAMES, None)
    package = replace(page.package, species=species, gallery=replace(page.package.gallery, species=species))
    photo = [("a.png", made.photos[0][0].read_bytes())]
    html = replace(page, package=package).answer(uploaded(page, photo), "", False)
    assert "Treat it as venomous" in html and "Venom not known for this model." in html
    assert 'class="venom"' not in html and 'class="venom"' in page.answer(uploaded(page, photo), "", False)


@pytest.mark.parametrize(
    ("level", "p_venomous", "kind", "words", "detail"),
    [
        ("species", 0.97, "high", "Probably venomous", "97\xa0%"),
        ("genus", 0.2, "unsure", "It may be venomous", "20\xa0%. Treat it as venomous."),
        ("species", 0.001, "low", "Probably not venomous", "under 1\xa0%. Do not touch it"),
        ("unknown", 0.001, "unsure", "Treat it as venomous", "does not know this snake"),
        ("unknown", 0.8, "high", "Treat it as venomous", "does not know this snake"),
        ("species", None, "unsure", "Treat it as venomous", "Venom not known for this model."),
    ],
)
def test_danger_is_told_in_words_and_figures_and_never_denied(
    level: Level, p_venomous: float | None, kind: str, words: str, detail: str
):
    danger = Danger.of(Answer("a.png", "a", "Naja naja", level, 0.9, p_venomous))
    assert (danger.kind, danger.words) == (kind, words) and detail in danger.detail
    assert [percent(share) for share in (0.0, 0.994, 1.0)] == ["under 1\xa0%", "over 99\xa0%", "over 99\xa0%"]


def test_a_call_that_cannot_be_done_says_why_and_returns_2(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    empty, half = tmp_path / "empty", tmp_path / "half"
    empty.write_text("\n")
    half.write_text("mary:word\n\njohn\n")
    # As where the extra is not installed.
    monkeypatch.setitem(sys.modules, "gradio", None)
    for options, told in [
        (["--host", "0.0.0.0"], "name who may with --auth-file"),
        (["--auth-file", empty], "names nobody"),
        (["--auth-file", half], "line 3: write user:password"),
        (["--auth-file", tmp_path / "none"], "No such file"),
        ([], "install snake-assets[app]"),
    ]:
        assert cli.main(["app", "--model", str(made.folder), *map(str, options)]) == 2
        assert told in capsys.readouterr().err
