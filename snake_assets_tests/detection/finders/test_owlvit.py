"""OWL-ViT and OWLv2: finds where transformers' own pipeline has them, of the right place in the photo."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import AutoModelForZeroShotObjectDetection, CLIPTokenizer, pipeline

from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.hub_models import open_hub_model, owl
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets_tests.detection.hub_folders import OWL
from snake_assets_tests.vision.conftest import picture

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


def test_a_query_of_too_many_words_is_refused(owl_folders: dict[str, Path]):
    for queries in (("snake " * 14,), ("a snake", "snake " * 14)):
        assert finder(owl_folders["owlvit"], queries=queries).find([photo(60, 40)])
    with pytest.raises(DetectionError, match=r"reads 16 tokens.*has 17.*fewer words"):
        finder(owl_folders["owlvit"], queries=("snake " * 15,)).find([photo(60, 40)])
