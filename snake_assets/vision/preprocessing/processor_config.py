"""The preprocessing that a model folder's preprocessor_config.json asks for."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.transforms import Preprocessing

PREPROCESSOR_CONFIG = "preprocessor_config.json"

_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# What each processor class does where its file is silent or says null (class attributes, transformers 5.23).
_DEFAULTS: dict[str, dict[str, Any]] = {
    "BitImageProcessor": {
        "size": {"shortest_edge": 224},
        "default_to_square": False,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "resample": Image.Resampling.BICUBIC,
        "image_mean": _CLIP[0],
        "image_std": _CLIP[1],
    },
    "ViTImageProcessor": {
        "size": {"height": 224, "width": 224},
        "resample": Image.Resampling.BILINEAR,
        "image_mean": _HALVES[0],
        "image_std": _HALVES[1],
    },
    "DINOv3ViTImageProcessor": {
        "size": {"height": 224, "width": 224},
        "resample": Image.Resampling.BILINEAR,
        "image_mean": _IMAGENET[0],
        "image_std": _IMAGENET[1],
    },
}
_COMMON_DEFAULTS = {
    "do_resize": True,
    "do_center_crop": False,
    "do_rescale": True,
    "do_normalize": True,
    "do_pad": False,
    "default_to_square": True,
    "rescale_factor": 1 / 255,
}

# Early files name no processor; the model beside them does.
_PROCESSOR_OF_MODEL = {
    "dinov2": "BitImageProcessor",
    "dinov2_with_registers": "BitImageProcessor",
    "dinov3_vit": "DINOv3ViTImageProcessor",
    "vit": "ViTImageProcessor",
}


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read `preprocessor_config.json` of a model folder.

    Serves BitImageProcessor (DINOv2, with and without registers), ViTImageProcessor and
    DINOv3ViTImageProcessor, under their present and earlier names (...Fast, ...FeatureExtractor).

    Raises:
        BackboneError: the file is missing, is no JSON object, names another processor or asks for a step
            that is not built; the message names the file.
    """
    path = folder / PREPROCESSOR_CONFIG
    processor, written = _read_config(path)
    config = _COMMON_DEFAULTS | _DEFAULTS[processor] | {k: v for k, v in written.items() if v is not None}
    try:
        if config["do_pad"]:
            raise BackboneError("do_pad is not supported.")
        return Preprocessing(
            resize=_resize_of(config) if config["do_resize"] else None,
            resample=int(Image.Resampling(config["resample"])),
            crop=_height_width(config["crop_size"]) if config["do_center_crop"] else None,
            rescale_factor=float(config["rescale_factor"]) if config["do_rescale"] else 1.0,
            mean=_three(config["image_mean"]) if config["do_normalize"] else (0.0, 0.0, 0.0),
            std=_three(config["image_std"]) if config["do_normalize"] else (1.0, 1.0, 1.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackboneError(f"{path} cannot be followed: {error}") from error


def _read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """The processor's class name, without its suffixes, and what the file says."""
    if not path.is_file():
        raise BackboneError(
            f"{path} is missing: without it nobody knows how the backbone wants its photos. Take it from the "
            "model's page, or save it with AutoImageProcessor.save_pretrained."
        )
    written = _json_object(path)
    name = written.get("image_processor_type") or written.get("feature_extractor_type")
    if name is None:
        model = path.parent / "config.json"
        name = _PROCESSOR_OF_MODEL.get(_json_object(model).get("model_type", "")) if model.is_file() else None
    processor = (
        str(name).removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    )
    if processor not in _DEFAULTS:
        raise BackboneError(
            f"{path} asks for the image processor {name!r}, which is not known here. Known: "
            f"{', '.join(_DEFAULTS)}. Choose a backbone that uses one of them."
        )
    return processor, written


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{path} cannot be read as JSON: {error}. Fetch the file again.") from error
    if not isinstance(content, dict):
        raise BackboneError(f"{path} holds no JSON object. Fetch the file again.")
    return content


def _resize_of(config: dict[str, Any]) -> int | tuple[int, int]:
    size = config["size"]
    if isinstance(size, dict) and set(size) == {"shortest_edge"}:
        return int(size["shortest_edge"])
    if isinstance(size, int) and not config["default_to_square"]:
        return size
    return _height_width(size)


def _height_width(size: Any) -> tuple[int, int]:
    """A size as transformers reads it: {height, width}, one int for a square, or [height, width]."""
    if isinstance(size, dict) and set(size) == {"height", "width"}:
        return int(size["height"]), int(size["width"])
    if isinstance(size, int):
        return size, size
    if isinstance(size, list) and len(size) == 2:
        return int(size[0]), int(size[1])
    raise ValueError(f"the size {size!r} is not supported; {{height, width}} and {{shortest_edge}} are.")


def _three(values: Any) -> tuple[float, float, float]:
    per_channel = [values] * 3 if isinstance(values, (int, float)) else values
    if len(per_channel) != 3:
        raise ValueError(f"image_mean and image_std need one value per channel (3), not {per_channel}.")
    red, green, blue = (float(value) for value in per_channel)
    return red, green, blue
