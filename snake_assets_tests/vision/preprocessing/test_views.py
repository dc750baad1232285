"""Other ways to look: resolution and resize policy."""

from pathlib import Path

import numpy as np
import pytest

from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets.vision.backbone.features import describe
from snake_assets.vision.embedding.tables import DCT, DINOV2, recipes
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.transforms import View
from snake_assets_tests.vision.conftest import KINDS, picture

PATCH = {"dinov2": 14, "dinov2_with_registers": 14, "vit": 16, "dinov3_vit": 16}


def seen_by(folder: Path, view: View, width: int = 120, height: int = 90):
    backbone = open_backbone(str(folder), device="cpu", precision="fp32", view=view)
    photo = np.asarray(picture(width, height, 3))
    return backbone, describe(backbone, backbone.preprocessing.resized(photo)[None])


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_resolution_gives_more_patches_of_the_same_width(
    kind: str, backbone_folders: dict[str, Path]
):
    side = PATCH[kind] * 7
    backbone, features = seen_by(backbone_folders[kind], View(resolution=side))
    assert backbone.preprocessing.input_size == (side, side)
    assert backbone.patch_grid == (7, 7)
    assert features.cls.shape == features.patch_mean.shape == (1, 32)


@pytest.mark.parametrize("size", [(120, 60), (60, 120), (56, 56), (3, 200)])
def test_squash_and_pad_show_the_whole_photo(size: tuple[int, int], backbone_folders: dict[str, Path]):
    own = open_backbone(str(backbone_folders["dinov2"]), device="cpu").preprocessing
    photo = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    assert (own.viewed(None, "squash").resized(photo) == 255).all()
    padded = own.viewed(None, "pad").resized(photo)
    assert padded.shape == (56, 56, 3)
    white = (padded == 255).all(axis=2)
    fitted = (max(1, round(size[1] * 56 / max(size))), max(1, round(size[0] * 56 / max(size))))
    assert white.sum() == fitted[0] * fitted[1]
    if not white.all():
        assert (padded[~white] == [round(mean * 255) for mean in own.mean]).all()


def test_every_choice_is_another_recipe(backbone_folders: dict[str, Path]):
    views = [View(), View(resolution=70), View(resize="squash"), View(resize="pad")]
    made = [
        recipes(open_backbone(str(backbone_folders["dinov2"]), device="cpu", view=view), 16) for view in views
    ]
    for name in (DINOV2, DCT):
        assert len({repr(recipe[name]) for recipe in made}) == len(views)


def test_what_cannot_be_is_refused(backbone_folders: dict[str, Path]):
    for wrong in ({"resize": "stretch"}, {"scale": 0}, {"resolution": 0}, {"resolution": 520}):
        with pytest.raises(BackboneError):
            View(**wrong)
    with pytest.raises(BackboneError, match="multiple of 14"):
        open_backbone(str(backbone_folders["dinov2"]), device="cpu", view=View(resolution=100))


@pytest.mark.parametrize(
    ("view", "own", "patch", "side"),
    [
        (View(scale=1.15), (224, 224), 16, 256),
        (View(scale=1.15), (224, 224), 14, 252),
        (View(scale=1.0), (224, 224), 14, None),
        (View(scale=1.15), (518, 518), 14, 518),
        (View(scale=1.15), (224, 256), 16, None),
        (View(scale=0.01), (224, 224), 16, 16),
        (View(scale=1.15, resolution=224), (224, 224), 16, 224),
    ],
)
def test_a_scale_is_rounded_to_whole_patches(view: View, own: tuple[int, int], patch: int, side: int | None):
    assert view.side(own, patch) == side


def test_a_scaled_view_is_that_of_its_resolution(backbone_folders: dict[str, Path]):
    scaled, by_pixels = (
        open_backbone(str(backbone_folders["dinov2"]), device="cpu", view=view)
        for view in (View(scale=1.15), View(resolution=70))
    )
    assert scaled.preprocessing.input_size == (70, 70)
    assert scaled.fingerprint_parts() == by_pixels.fingerprint_parts()
