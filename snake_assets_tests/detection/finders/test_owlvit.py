"""OWL-ViT and OWLv2: finds where transformers' own pipeline has them, of the right place in the photo."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, CLIPTokenizer, pipeline

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finders.hub_models import open_hub_model, owl
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.detection.hub_folders import OWL, OWL_SIDE, save_owl
from snake_assets_tests.detection.marks import image_table
from snake_assets_tests.vision.conftest import encode, picture

KINDS = ("owlvit", "owlv2")
QUERIES = ("a photo of a snake", "a rope")


def finder(folder: Path, **changes) -> OwlFinder:
    return replace(OwlFinder(open_hub_model(owl("SNAKE_DETECTOR"), str(folder))), **changes)


def photo(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.array(picture(width, height, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_finds_are_those_of_transformers_own_pipeline(owl_folders: dict[str, Path], kind: str):
    """The same scores, queries and boxes, to the pixel that the pipeline rounds to."""
    folder = owl_folders[kind]
    ours = finder(folder, queries=QUERIES, iou=0.9999, most=99)
    reference = pipeline(
        "zero-shot-object-detection",
        model=AutoModelForZeroShotObjectDetection.from_pretrained(folder),
        tokenizer=CLIPTokenizer.from_pretrained(folder),
        image_processor=OWL[kind][2].from_pretrained(folder),
    )
    compared = 0
    for width, height in ((64, 40), (40, 64), (60, 60)):
        (found,) = ours.find([photo(width, height)])
        told = reference(picture(width, height), candidate_labels=list(QUERIES), threshold=0.1)
        boxes = np.array([list(one["box"].values()) for one in told])
        scores = np.array([one["score"] for one in told])
        size = np.array([width, height, width, height])
        for region in found:
            sides = np.array([region.x0, region.y0, region.x1, region.y1]) * size
            same = np.isclose(scores, region.score, atol=1e-5)
            same &= np.isclose(boxes.clip(0, size), sides, atol=1).all(axis=1)
            same &= np.array([one["label"] == region.label for one in told])
            assert same.any()
            compared += 1
    assert compared > 15


def test_owlvit_stretches_a_photo_and_owlv2_pads_it(tmp_path: Path):
    """Boxes of a patch's size round each patch's corner: of 4 x 4 over the photo, or over its square."""
    # (center x, center y, width, height) of a corner: a quarter of the input each; 80 x 40 pixels.
    wide = photo(80, 40)
    for kind, rows, tall in (("owlvit", (0.25, 0.5, 0.75, 1.0), 0.25), ("owlv2", (0.5, 1.0), 0.5)):
        folder = save_owl(tmp_path / kind, kind, wandering=0.0)  # type: ignore[arg-type]
        (found,) = finder(folder, confidence=1e-6, iou=0.9999, most=99).find([wide])
        expected = {
            (max(0, x - 0.125), max(0, y - tall / 2), min(1, x + 0.125), min(1, y + tall / 2))
            for x in (0.25, 0.5, 0.75, 1.0)
            for y in rows
        }
        sides = sorted((r.x0, r.y0, r.x1, r.y1) for r in found)
        # The architecture's corners are a ten thousandth off; OWLv2's third row begins at the photo's end.
        seen = [box for box in sides if box[3] - box[1] > 0.01]
        assert np.allclose(seen, sorted(expected), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_odd_photos_and_any_company_give_what_each_gives_alone(owl_folders: dict[str, Path], kind: str):
    ours = finder(owl_folders[kind])
    photos = [
        photo(60, 40),
        np.zeros((1, 1, 3), np.uint8),
        photo(20_000, 50),
        photo(50, 20_000),
        photo(50, 3),
        np.full((50, 70, 3), 127, np.uint8),
        photo(60, 40, 1),
    ]
    together = ours.find(photos)
    assert together == [ours.find([one])[0] for one in photos]
    assert together[0] != together[-1]
    assert sum(map(len, together)) > 10
    for found in together:
        assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
        assert len(found) <= ours.most
        for region in found:
            assert 0 <= region.x0 < region.x1 <= 1 and 0 <= region.y0 < region.y1 <= 1
            assert 0.1 < region.score <= 1 and region.mask is None
    assert ours.find([]) == []


def test_what_overlaps_a_better_find_or_is_unsure_is_none(owl_folders: dict[str, Path]):
    every = finder(owl_folders["owlvit"], confidence=0.01, iou=0.9999, most=99)
    (all_of_them,) = every.find([photo(60, 40)])
    (apart,) = replace(every, iou=0.05).find([photo(60, 40)])
    (sure,) = replace(every, confidence=0.5).find([photo(60, 40)])
    (few,) = replace(every, most=2).find([photo(60, 40)])
    assert 1 <= len(apart) < len(all_of_them)
    assert apart[0] == all_of_them[0] and set(apart) < set(all_of_them)
    assert sure == [region for region in all_of_them if region.score > 0.5]
    assert few == all_of_them[:2]


def test_what_decides_the_finds_is_in_the_fingerprint(owl_folders: dict[str, Path]):
    ours = finder(owl_folders["owlv2"])
    parts = ours.fingerprint_parts()
    changes = {"queries": QUERIES, "confidence": 0.5, "iou": 0.5, "most": 1}
    other = replace(ours, **changes).fingerprint_parts()
    assert {name for name in parts if parts[name] != other[name]} == set(changes)
    assert finder(owl_folders["owlvit"]).fingerprint_parts()["weights"] != parts["weights"]
    assert (ours.longest_side, finder(owl_folders["owlvit"]).longest_side) == (OWL_SIDE, 2 * OWL_SIDE)


def test_a_query_of_too_many_words_is_refused(owl_folders: dict[str, Path]):
    for queries in (("snake " * 14,), ("a snake", "snake " * 14)):
        assert finder(owl_folders["owlvit"], queries=queries).find([photo(60, 40)])
    with pytest.raises(DetectionError, match=r"reads 16 tokens.*has 17.*fewer words"):
        finder(owl_folders["owlvit"], queries=("snake " * 15,)).find([photo(60, 40)])


def test_a_pass_resumes_and_keeps_each_photos_own_find(owl_folders: dict[str, Path], tmp_path: Path):
    ours = finder(owl_folders["owlv2"])
    given = {f"{n}.png": encode(picture(60 + n, 50, n), "PNG") for n in range(5)}
    settings = FindingSettings(batch_size=2)
    few = dict(list(given.items())[:3])
    first = find_snakes(image_table(tmp_path, few, 3), tmp_path / "crops", ours, settings)
    images = image_table(tmp_path, given, 3)
    again = find_snakes(images, tmp_path / "crops", ours, settings)
    assert (first.computed, again.computed) == (3, 2)
    rows = open_table(tmp_path / "crops").read().to_pylist()
    for number, row in enumerate(rows):
        (found,) = ours.find([np.array(Image.open(tmp_path / "data" / "train" / f"{number}.png"))])
        assert row["finds"] == len(found) > 0 and row["label"] == found[0].label
        sides = found[0].x0, found[0].y0, found[0].x1, found[0].y1, found[0].score
        told = [row[name] for name in ("x0", "y0", "x1", "y1", "score")]
        assert np.allclose(told, sides, atol=0.05)


@pytest.mark.parametrize(("kind", "side", "longest"), [("owlvit", 768, 1536), ("owlv2", 960, 960)])
def test_at_the_size_of_the_published_models(tmp_path: Path, kind: str, side: int, longest: int):
    ours = finder(save_owl(tmp_path / kind, kind, side), confidence=1e-3)  # type: ignore[arg-type]
    assert ours.longest_side == longest
    (found,) = ours.find([photo(1500, 1000)])
    assert len(found) == 10
