"""SAM: masks of the right place in the photo, prompted by the best box."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import SamImageProcessor, SamModel

from snake_assets.detection.finders.hub_models import open_hub_model, sam
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.vision.preprocessing.crops import mask_from_bytes
from snake_assets.vision.preprocessing.regions import Region
from snake_assets_tests.detection.hub_folders import SAM_SIDE
from snake_assets_tests.detection.marks import Finds
from snake_assets_tests.vision.conftest import picture

SNAKE = Finds((Region(0.1, 0.1, 0.2, 0.2, 0.3, "rope"), Region(0.25, 0.5, 0.75, 1.0, 0.7, "snake")))
LOW = SAM_SIDE // 2  # side of the masks that come out of the network


@pytest.fixture
def prompted(sam_folder: Path) -> SamFinder:
    return SamFinder(open_hub_model(sam("SNAKE_DETECTOR"), str(sam_folder)), SNAKE)


def photo(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.array(picture(width, height, seed))


def plant(finder: SamFinder, masks: list[tuple[slice, slice, float, float]]) -> None:
    """Let the network, whatever it sees, answer each prompt with (rows, columns, logit, predicted IoU)."""
    logits = torch.full((len(masks), LOW, LOW), -20.0)
    for mask, (rows, columns, logit, _) in zip(logits, masks, strict=True):
        mask[rows, columns] = logit
    scores = torch.tensor([score for *_, score in masks])

    def answer(module: object, given: object, output: tuple[torch.Tensor, torch.Tensor]):
        prompts = output[1].shape[1]
        return logits.repeat(1, prompts, 1, 1, 1), scores.repeat(1, prompts, 1)

    finder.model.mask_decoder.register_forward_hook(answer)


def sides(region: Region) -> tuple[float, ...]:
    return region.x0, region.y0, region.x1, region.y1


def test_of_three_masks_the_one_of_the_highest_predicted_iou_is_kept(prompted: SamFinder):
    middle = slice(4, 12), slice(8, 24)
    plant(prompted, [(slice(0, 3), slice(0, 3), 20, 0.2), (*middle, 20, 0.6), (*middle[::-1], 20, 0.5)])
    # The network's lower half is padding under a photo of 80 x 40.
    ((region,),) = prompted.find([photo(80, 40)])
    assert sides(region) == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.03)
    assert (region.score, region.label) == (pytest.approx(0.7), "snake")
    assert region.mask is not None
    mask = mask_from_bytes(region.mask)
    assert mask.shape == (32, 64)  # no finer than SAM sees
    assert mask[9:23, 17:47].all() and mask.sum() < 18 * 34


def test_masks_are_those_of_transformers_own_post_processing(prompted: SamFinder, sam_folder: Path):
    model, images = SamModel.from_pretrained(sam_folder).eval(), SamImageProcessor.from_pretrained(sam_folder)
    for width, height in ((60, 40), (33, 64)):
        ((region,),) = prompted.find([photo(width, height)])
        given = images(picture(width, height), return_tensors="pt")
        (rows, columns), size = given["reshaped_input_sizes"][0].tolist(), [(height, width)]
        with torch.no_grad():
            box = torch.tensor([[[0.25 * columns, 0.5 * rows, 0.75 * columns, rows]]])
            seen = model(given["pixel_values"], input_boxes=box)
        (masks,) = images.post_process_masks(seen.pred_masks, size, given["reshaped_input_sizes"])
        best = masks[0, seen.iou_scores[0, 0].argmax()].numpy()
        assert 0 < best.sum() < best.size
        mask = mask_from_bytes(region.mask)
        assert mask.shape == (height, width)
        assert (mask == best).mean() > 0.999


def test_a_photo_without_a_box_or_without_a_mask_has_no_find(prompted: SamFinder):
    assert replace(prompted, prompter=Finds(())).find([photo(60, 40)]) == [[]]
    outside = Finds((Region(1.5, 0, 2, 1, 0.9, "snake"),))
    assert replace(prompted, prompter=outside).find([photo(60, 40)]) == [[]]
    plant(prompted, [(slice(0, 0), slice(0, 0), 20, 0.9)] * 3)
    assert prompted.find([photo(60, 40)]) == [[]]


def test_odd_photos_and_any_company_give_what_each_gives_alone(prompted: SamFinder):
    photos = [
        photo(60, 40),
        np.zeros((1, 1, 3), np.uint8),
        photo(20_000, 50),
        photo(50, 20_000),
        photo(50, 3),
        np.full((50, 70, 3), 127, np.uint8),
    ]
    together = prompted.find(photos)
    assert together == [prompted.find([one])[0] for one in photos]
    assert sum(map(len, together)) > 2
    for one, found in zip(photos, together, strict=True):
        for region in found:
            assert 0 <= region.x0 < region.x1 <= 1 and 0 <= region.y0 < region.y1 <= 1
            height, width = mask_from_bytes(region.mask).shape
            assert max(height, width) == min(SAM_SIDE, max(one.shape))
            assert (height > width, width > height) == (
                one.shape[0] > one.shape[1],
                one.shape[1] > one.shape[0],
            )
    assert prompted.find([]) == []


def test_the_prompter_is_in_the_fingerprint_and_the_warning(prompted: SamFinder):
    complaining = replace(prompted, prompter=Finds((), warning="knows no snakes", longest_side=640))
    assert (prompted.warning, complaining.warning) == (None, "knows no snakes")
    small = replace(prompted, prompter=Finds((), longest_side=32))
    assert (small.longest_side, complaining.longest_side) == (SAM_SIDE, 640)
    assert prompted.fingerprint_parts()["prompter"] == {"finder": "the same"}
