"""Preprocessing equals that of transformers, told by processor configs and by the settings of a view."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets.vision.backbone.processor_config import read_preprocessing
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.embedding.tables import DCT, DINOV2, recipes
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.transforms import Preprocessing, View
from snake_assets_tests.vision.conftest import (
    PREPROCESSORS,
    encode,
    mean_difference,
    picture,
    write_preprocessor,
)

SIZES = [(100, 80), (80, 101), (333, 127), (64, 64), (65, 64), (56, 56), (40, 31), (17, 90), (1, 1), (7, 300)]

VARIANTS: dict[str, dict[str, Any]] = {
    **PREPROCESSORS,
    "dinov2 odd crop": PREPROCESSORS["dinov2"] | {"crop_size": {"height": 57, "width": 43}},
    "dinov2 crop beyond the resize": PREPROCESSORS["dinov2"] | {"crop_size": {"height": 90, "width": 77}},
    "dinov2 crop without resize": PREPROCESSORS["dinov2"] | {"do_resize": False},
    "dinov2 old sizes": PREPROCESSORS["dinov2"] | {"size": 64, "crop_size": 56},
    "dinov2 silent": {"image_processor_type": "BitImageProcessor"},
    "vit int size": PREPROCESSORS["vit"] | {"size": 48},
    "vit not square": PREPROCESSORS["vit"] | {"size": {"height": 40, "width": 64}},
    "vit silent": {"image_processor_type": "ViTImageProcessor"},
    "vit fast": PREPROCESSORS["vit"] | {"image_processor_type": "ViTImageProcessorFast"},
    "vit feature extractor": {"feature_extractor_type": "ViTFeatureExtractor", "size": 64},
    "vit lanczos": PREPROCESSORS["vit"] | {"resample": 1},
    "vit neither rescaled nor normalised": PREPROCESSORS["vit"]
    | {"do_rescale": False, "do_normalize": False},
    "dinov2 longest edge": PREPROCESSORS["dinov2"] | {"size": {"shortest_edge": 64, "longest_edge": 90}},
    "clip": {"image_processor_type": "CLIPImageProcessor"},
    "siglip": {"image_processor_type": "SiglipImageProcessor"},
    "deit": {"image_processor_type": "DeiTImageProcessor"},
    "convnext": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}},
    "convnext large": {"image_processor_type": "ConvNextImageProcessor"},
    "vit one mean": PREPROCESSORS["vit"] | {"image_mean": [0.4] * 3, "image_std": [0.2, 0.3, 0.4]},
}


def ours(preprocessing: Preprocessing, rgb: np.ndarray) -> np.ndarray:
    import torch

    batch = torch.from_numpy(preprocessing.resized(rgb)[np.newaxis])
    return preprocessing.pixel_values(batch).numpy()


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "dinov3" not in name])
def test_equals_the_processor_of_transformers(tmp_path: Path, variant: str) -> None:
    from transformers import AutoImageProcessor

    write_preprocessor(tmp_path, **VARIANTS[variant])
    preprocessing = read_preprocessing(tmp_path)
    backend = "pil" if variant == "vit lanczos" else "torchvision"
    theirs = AutoImageProcessor.from_pretrained(tmp_path, backend=backend)
    assert type(theirs).__name__.endswith("Pil") == (backend == "pil")
    for seed, (width, height) in enumerate(SIZES):
        rgb = np.array(picture(width, height, seed))
        expected = theirs(images=rgb, return_tensors="np", input_data_format="channels_last").pixel_values
        values = ours(preprocessing, rgb)
        assert values.shape[2:] == preprocessing.input_size
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5, err_msg=f"{width} x {height}")


def test_dinov3_differs_from_its_torchvision_processor_by_rounding_only(tmp_path: Path) -> None:
    """That processor has no PIL twin: it resizes floats, so rounded bytes differ by up to one."""
    import torch
    from transformers import AutoImageProcessor

    write_preprocessor(tmp_path, **PREPROCESSORS["dinov3_vit"])
    preprocessing = read_preprocessing(tmp_path)
    theirs = AutoImageProcessor.from_pretrained(tmp_path)
    for width, height in [(100, 80), (333, 127), (64, 64)]:
        rgb = np.array(picture(width, height))
        expected = theirs(
            images=[torch.from_numpy(rgb).permute(2, 0, 1)], return_tensors="pt"
        ).pixel_values.numpy()
        assert np.abs(ours(preprocessing, rgb) - expected).max() < 1.01 / 255 / 0.224


def test_rescaled_twice_is_the_papers_fault(tmp_path: Path) -> None:
    write_preprocessor(tmp_path, **PREPROCESSORS["dinov2"])
    right = read_preprocessing(tmp_path)
    faulty, rgb = right.rescaled_twice(), np.array(picture(90, 70))
    mean, std = (np.array(values)[:, None, None] for values in (right.mean, right.std))
    once = right.resized(rgb).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(ours(faulty, rgb)[0], (once / 255 - mean) / std, atol=1e-5)
    assert ours(faulty, rgb).std(axis=(2, 3)).max() < 0.01 * ours(right, rgb).std(axis=(2, 3)).min()
    assert faulty.as_dict() != right.as_dict()
    padded = faulty.viewed(56, "pad").resized(rgb)
    assert (padded[0] == 255).all()


@pytest.mark.parametrize("shape", [(1, 65_535), (65_535, 1)])
def test_absurdly_long_strips_stay_small(tmp_path: Path, shape: tuple[int, int]) -> None:
    preprocessing = read_preprocessing(write_preprocessor(tmp_path, **PREPROCESSORS["dinov2"]))
    strip = np.full((*shape, 3), 9, dtype=np.uint8)
    assert (preprocessing.resized(strip) == 9).all()


@pytest.mark.parametrize("kind", ["dinov2", "vit"])
def test_a_decode_at_the_needed_side_makes_little_difference(tmp_path: Path, kind: str) -> None:
    preprocessing = read_preprocessing(write_preprocessor(tmp_path, **PREPROCESSORS[kind]))
    data = encode(picture(640, 480), quality=90)
    reduced = decode(data, at_least=preprocessing.needed_side)
    assert reduced.shape == (240, 320, 3)
    assert mean_difference(preprocessing.resized(reduced), preprocessing.resized(decode(data))) < 1.0


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
    open_small = partial(open_backbone, str(backbone_folders["dinov2"]), device="cpu")
    made = [recipes(open_small(view=view), 16) for view in views]
    for name in (DINOV2, DCT):
        assert len({repr(recipe[name]) for recipe in made}) == len(views)
        assert recipes(open_small(view=View(scale=1.15)), 16)[name] == made[1][name]


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


@pytest.mark.parametrize("model_type", ["vit", "dinov2", "dinov3_vit"])
def test_file_without_a_type_follows_the_model(tmp_path: Path, model_type: str) -> None:
    config = {k: v for k, v in PREPROCESSORS[model_type].items() if k != "image_processor_type"}
    write_preprocessor(tmp_path / "silent", **config)
    (tmp_path / "silent" / "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
    named = read_preprocessing(write_preprocessor(tmp_path / "named", **PREPROCESSORS[model_type]))
    assert read_preprocessing(tmp_path / "silent") == named


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"image_processor_type": "MadeUpProcessor"}, "Unrecognized image processor"),
        ({"size": 224}, "Unrecognized image processor"),
        ({"image_processor_type": "MobileViTImageProcessor"}, "MobileViTImageProcessor does more"),
        ({"image_processor_type": "Siglip2ImageProcessor"}, "size"),
        (
            {"image_processor_type": "Own", "auto_map": {"AutoImageProcessor": "own.Own"}},
            "code of its own repository, which is never run",
        ),
        (PREPROCESSORS["vit"] | {"do_pad": True}, "do_pad"),
        (PREPROCESSORS["vit"] | {"image_mean": [0.5]}, "per channel"),
        (PREPROCESSORS["vit"] | {"resample": 77}, "77"),
        (PREPROCESSORS["vit"] | {"size": "large"}, "large"),
        (b"{", "preprocessor_config"),
        (b"[]", "preprocessor_config"),
        (b"\xff\xfe\x00", "preprocessor_config"),
    ],
)
def test_refusals_name_the_file(tmp_path: Path, config: dict[str, Any] | bytes, words: str) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
    with pytest.raises(BackboneError, match=words) as caught:
        read_preprocessing(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("changes", [{"size": {"shortest_edge": 9}}, {"do_resize": False}])
def test_photos_of_different_shapes_need_another_policy(tmp_path: Path, changes: dict[str, Any]) -> None:
    own = read_preprocessing(write_preprocessor(tmp_path, **PREPROCESSORS["vit"] | changes))
    with pytest.raises(BackboneError, match="set resize to squash or pad"):
        _ = own.input_size
    if changes.get("size"):
        assert own.viewed(None, "pad").input_size == (9, 9)
