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


@pytest.fixture
def prompted(sam_folder: Path) -> SamFinder:
    return SamFinder(open_hub_model(sam("SNAKE_DETECTOR"), str(sam_folder)), SNAKE)


def photo(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.array(picture(width, height, seed))


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
        assert region.label == "snake" and 0 < region.score < 1
        assert (mask == best).mean() > 0.999


def test_a_photo_without_a_box_or_without_a_mask_has_no_find(prompted: SamFinder):
    assert replace(prompted, prompter=Finds(())).find([photo(60, 40)]) == [[]]
    outside = Finds((Region(1.5, 0, 2, 1, 0.9, "snake"),))
    assert replace(prompted, prompter=outside).find([photo(60, 40)]) == [[]]
    prompted.model.mask_decoder.register_forward_hook(
        lambda module, given, output: (torch.full_like(output[0], -20.0), output[1])
    )
    assert prompted.find([photo(60, 40)]) == [[]]


def test_the_warning_is_the_prompters(prompted: SamFinder):
    complaining = replace(prompted, prompter=Finds((), warning="knows no snakes", longest_side=32))
    assert (prompted.warning, complaining.warning) == (None, "knows no snakes")
    assert complaining.longest_side == SAM_SIDE
