"""What holds of every finder, and what is kept of a photo's finds: the best, and something to cut by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.detection.finders.base import Finder, best_find
from snake_assets.detection.finders.hub_models import open_hub_model, owl, sam
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.detection.finders.yolo import YoloFinder
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.vision.preprocessing.crops import mask_from_bytes
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region
from snake_assets_tests.detection.detectors import save_detector
from snake_assets_tests.detection.hub_folders import OWL_SIDE, SAM_SIDE
from snake_assets_tests.detection.marks import Finds, MarkFinder
from snake_assets_tests.vision.conftest import picture

ANY = st.floats(width=64) | st.floats(-0.5, 1.5)
# What may be set on each finder, and decides what it finds.
SETTINGS = {
    "yolo": {"confidence": 0.5, "iou": 0.5, "image_size": 96, "most": 1, "classes": ("snake",)},
    "owlvit": {"queries": ("a rope",), "confidence": 0.5, "iou": 0.5, "most": 1},
    "owlv2": {"queries": ("a rope",), "confidence": 0.5, "iou": 0.5, "most": 1},
    "sam": {"prompter": MarkFinder()},
}
SIDES = {"yolo": 64, "owlvit": 2 * OWL_SIDE, "owlv2": OWL_SIDE, "sam": 640}


@pytest.fixture(scope="module")
def finders(
    tmp_path_factory: pytest.TempPathFactory, owl_folders: dict[str, Path], sam_folder: Path
) -> dict[str, Finder]:
    """Finders that see snakes everywhere."""
    detector = save_detector(tmp_path_factory.mktemp("detector") / "tiny.pt")
    prompter = Finds((Region(0.25, 0.5, 0.75, 1.0, 0.7, "snake"),))
    return {
        "yolo": YoloFinder(open_weights(str(detector)), confidence=1e-6, image_size=64),
        **{kind: OwlFinder(open_hub_model(owl("X"), str(folder))) for kind, folder in owl_folders.items()},
        "sam": SamFinder(open_hub_model(sam("X"), str(sam_folder)), prompter),
    }


@pytest.fixture(params=SETTINGS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def numbers(finds: list[Region]) -> list[tuple[float, ...]]:
    return [(find.x0, find.y0, find.x1, find.y1, find.score) for find in finds]


def test_odd_photos_and_any_company_give_what_each_gives_alone(finders: dict[str, Finder], kind: str):
    finder = finders[kind]
    sizes = ((60, 40), (20_000, 50), (50, 20_000), (50, 3))
    photos = [np.array(picture(width, height, seed)) for seed, (width, height) in enumerate(sizes)]
    photos += [
        np.zeros((1, 1, 3), np.uint8),
        np.full((50, 70, 3), 127, np.uint8),
        np.array(picture(60, 40, 9)),
    ]
    together = finder.find(photos)
    for photo, found in zip(photos, together, strict=True):
        (alone,) = finder.find([photo])
        assert np.allclose(numbers(alone), numbers(found), atol=1e-5)
        assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
        for region in found:
            assert 0 <= region.x0 < region.x1 <= 1 and 0 <= region.y0 < region.y1 <= 1
            assert 0 < region.score <= 1
            if kind != "sam":
                assert region.mask is None and len(found) <= finder.most
            else:
                height, width = mask_from_bytes(region.mask).shape
                assert max(height, width) == min(SAM_SIDE, max(photo.shape))
                assert np.sign(height - width) == np.sign(photo.shape[0] - photo.shape[1])
    assert together[0] != together[-1]
    assert sum(map(len, together)) > 2
    assert finder.find([]) == []


def test_what_decides_the_finds_is_in_the_fingerprint(finders: dict[str, Finder], kind: str):
    parts = finders[kind].fingerprint_parts()
    assert len({str(finder.fingerprint_parts()["weights"]) for finder in finders.values()}) == len(finders)
    other = replace(finders[kind], **SETTINGS[kind]).fingerprint_parts()
    assert {name for name in parts if parts[name] != other[name]} == set(SETTINGS[kind])
    assert finders[kind].longest_side == SIDES[kind]


def region(x0: float, y0: float, x1: float, y1: float, score: float = 0.5) -> Region:
    return Region(x0, y0, x1, y1, score, "snake")


def test_the_best_wins_the_first_of_equals_and_what_is_beyond_the_frame_is_cut():
    ten = [region(0, 0, 1, (n + 1) / 16, score=(n * 3 % 10) / 16) for n in range(10)]
    assert (best_find(ten).region, best_find(ten).finds) == (ten[3], 10)
    assert best_find([region(0, 0, 0.5, 1), region(0.5, 0, 1, 1)]).region.x0 == 0
    assert best_find([region(-0.5, 0.25, 2.0, 1.5)]).region == region(0, 0.25, 1, 1)


@given(st.lists(st.builds(region, ANY, ANY, ANY, ANY, ANY), max_size=6))
def test_a_row_always_has_an_area_within_the_frame(finds: list[Region]):
    found = best_find(finds)
    sides = np.array([found.region.x0, found.region.y0, found.region.x1, found.region.y1], np.float32)
    assert (sides >= 0).all() and (sides <= 1).all()
    assert sides[0] < sides[2] and sides[1] < sides[3]
    assert 0 <= found.region.score <= 1
    assert 0 <= found.finds <= len(finds)
    assert (found.region == WHOLE_FRAME) or found.finds
