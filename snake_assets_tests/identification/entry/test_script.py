"""The entry's script answers as the classifier does, whatever lies in the data folder."""

import ast
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snake_assets.identification.entry import sandbox
from snake_assets.identification.entry.build import METADATA, SCRIPT, write_entry
from snake_assets.identification.identify import IdentificationError
from snake_assets.learning.decision.rules import RULES, DecisionRule
from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.preprocessing.transforms import Preprocessing
from snake_assets_tests.identification.conftest import Made
from snake_assets_tests.identification.entry.conftest import SAFEST_OF, Entry, write_metadata
from snake_assets_tests.vision.conftest import encode, picture

Make = Callable[..., Entry]


@pytest.mark.parametrize("rule", RULES)
def test_it_answers_as_the_classifier_in_the_order_of_the_metadata(
    make: Make, made: Made, rule: DecisionRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make(rule)
    order = list(dict.fromkeys([*(observation for _, observation in made.photos), SAFEST_OF]))
    expected = entry.classifier.identify(made.features, order)
    assert entry.answers(monkeypatch) == list(zip(order, expected.class_id.tolist(), strict=True))


def test_each_observation_has_a_row_whatever_its_photos_are(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Absent, empty, broken, too large; and photos that can be read, in a subfolder and odd modes."""
    entry = make()
    readable = sorted(entry.photos.iterdir())[0].read_bytes()
    shutil.rmtree(entry.photos)
    kinds = {"CMYK.jpg": ("CMYK", "JPEG"), "16 bit.png": ("I;16", "PNG"), "clear.png": ("RGBA", "PNG")}
    below = entry.photos / "images" / "test"
    below.mkdir(parents=True)
    for name, (mode, kind) in kinds.items():
        Image.new(mode, (40, 30)).save(below / name, kind)
    (below / "fine.PNG").write_bytes(readable)
    (below / "empty.jpg").touch()
    (below / "cut.png").write_bytes(readable[:300])
    (below / "text.jpg").write_text("no photo")
    Image.new("1", (12_000, 12_000)).save(below / "huge.png")
    names = [path.name for path in sorted(below.iterdir())]
    rows = [(name, name) for name in names] + [("absent", "absent.jpg"), ("fine too", "fine.png")]
    # The other spelling, in the data folder: it goes before the repository's.
    write_metadata(entry.data / "SnakeCLEF2024_TestMetadata.csv", [*rows, ("cut.png", "fine.PNG")])
    answers = dict(entry.answers(monkeypatch))
    assert list(answers) == [name for name, _ in rows]
    safest = dict.fromkeys(("empty.jpg", "text.jpg", "huge.png", "absent"), answers["absent"])
    assert {name: answers[name] for name in safest} == safest
    # By its other photo, and by the name in other letters.
    assert answers["cut.png"] == answers["fine.PNG"] == answers["fine too"]
    said = capsys.readouterr().out
    assert "1 photos are absent" in said and "4 unreadable" in said and "huge.png cannot be read" in said


@pytest.mark.parametrize("damage", ["none", "a member", "all of it"])
def test_the_archive_is_unpacked_as_far_as_it_can_be(
    make: Make, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    entry = make()
    whole = entry.answers(monkeypatch)
    archive = entry.data / "private_testset.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for photo in sorted(entry.photos.iterdir()):
            packed.write(photo, f"private_testset/{photo.name}")
    shutil.rmtree(entry.photos)
    if damage == "a member":
        data = bytearray(archive.read_bytes())
        data[200] ^= 255
        archive.write_bytes(data)
    elif damage == "all of it":
        archive.write_bytes(archive.read_bytes()[:1000])
    answers = entry.answers(monkeypatch)
    assert [name for name, _ in answers] == [name for name, _ in whole]
    differing = sum(one != other for one, other in zip(answers, whole, strict=True))
    assert {"none": differing == 0, "a member": differing <= 1, "all of it": differing > 1}[damage]


@pytest.mark.parametrize(
    ("limit_s", "seen", "said"),
    [
        (10_000, 200, "200 photos in"),
        (200, 110, "from now on first photos only"),
        (0, 80, "The limit is near: 120 photos are not looked at"),
    ],
)
def test_when_the_limit_would_be_passed_it_does_less_and_says_so(
    make: Make,
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit_s: float,
    seen: int,
    said: str,
) -> None:
    """Of 200 photos, four an observation, five batches of 16 are under way before the clock is looked at."""
    entry = make()
    write_metadata(entry.data / METADATA, [(f"{row // 4}", made.photos[0][0].name) for row in range(200)])
    script = entry.script(monkeypatch)
    seconds = iter(range(0, 10_000, 20))
    monkeypatch.setattr(script, "elapsed", lambda: next(seconds))
    monkeypatch.setattr(script, "MEASURED_PHOTOS", 1)
    monkeypatch.setattr(script, "LIMIT_S", script.SPARE_S + limit_s)
    script.main()
    told = capsys.readouterr().out
    assert f" {seen} photos in" in told and said in told
    assert len((entry.work / "submission.csv").read_text().splitlines()) == 51


def test_what_the_script_cannot_compute_is_refused(made: Made, demo_backbone: Path, tmp_path: Path) -> None:
    classifier = replace(made.classifier, features={**made.classifier.features, "crop_cls": 64})
    with pytest.raises(IdentificationError, match=r"crop_cls.*SNAKE_CROPS=none"):
        write_entry(classifier, open_backbone(str(demo_backbone)), tmp_path, tmp_path)
    backbone = open_backbone(str(demo_backbone), precision="fp32")
    other = replace(backbone, layout=replace(backbone.layout, has_cls=False, pooled=False))
    with pytest.raises(IdentificationError, match="it sees other features"):
        write_entry(made.classifier, other, tmp_path, tmp_path)


@pytest.mark.parametrize("file", [SCRIPT, Path(sandbox.__file__)])
def test_it_is_python_of_the_runner_s_version(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 10))


def photos() -> dict[str, bytes]:
    """Files of every mode that photos come in, smooth so that resizing is seen and not noise."""
    rgb = picture(200, 160)
    turned = Image.Exif()
    clear = rgb.copy()
    clear.putalpha(rgb.convert("L"))
    grey16 = Image.fromarray((np.asarray(rgb.convert("L")).astype(np.uint16) << 8) + 77)
    made = {
        "jpeg": encode(rgb, "JPEG"),
        "large jpeg": encode(rgb.resize((2000, 1600)), "JPEG", quality=90),
        "uneven jpeg": encode(rgb.resize((1999, 1601)), "JPEG", quality=90),
        "progressive": encode(rgb, "JPEG", progressive=True),
        "grey jpeg": encode(rgb.convert("L"), "JPEG"),
        "cmyk": encode(rgb.convert("CMYK"), "JPEG"),
        "png": encode(rgb, "PNG"),
        "palette": encode(rgb.convert("P"), "PNG", transparency=3),
        "clear": encode(clear, "PNG"),
        "16 bit": encode(grey16, "PNG"),
        "webp": encode(rgb, "WEBP", lossless=True),
        "gif": encode(rgb.convert("P"), "GIF"),
    }
    for orientation in range(2, 9):
        turned[0x0112] = orientation
        made[f"turned {orientation}"] = encode(rgb, "JPEG", exif=turned.tobytes())
    return made


HALVES = (0.5, 0.5, 0.5)
HOW = {
    "shortest edge and crop": Preprocessing(72, 3, (64, 64), 1 / 255, HALVES, HALVES),
    "squashed": Preprocessing((64, 48), 2, None, 1 / 255, HALVES, HALVES),
    "padded": Preprocessing((64, 64), 3, None, 1 / 255, HALVES, HALVES, pad=True),
    "larger crop than photo": Preprocessing(40, 1, (64, 64), 1 / 255, HALVES, HALVES),
}


@pytest.mark.parametrize("how", HOW)
def test_a_photo_becomes_the_same_pixels_as_in_training(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    script, wanted = make().script(monkeypatch), HOW[how]
    for kind, data in photos().items():
        (tmp_path / "photo").write_bytes(data)
        expected = wanted.resized(decode(data, at_least=wanted.needed_side)).astype(int)
        found = script.read_photo(tmp_path / "photo", wanted.as_dict())
        assert found.shape == expected.shape, kind
        assert np.abs(found - expected).max() <= 1, kind
