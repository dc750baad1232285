"""The preprocessing that a model's own image processor does, read from it and held against it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from snake_assets.vision.backbone.encoder import quiet_transformers, reason
from snake_assets.vision.backbone.model_files import (
    CONFIG,
    OPEN_CLIP,
    OPEN_CLIP_CONFIG,
    PREPROCESSOR_CONFIG,
    TIMM,
    TRANSFORMERS,
    format_of,
)
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.transforms import Preprocessing

# Resizing the bytes, or floats of them, differs by their rounding: a quarter of a level of 255, on average.
# Another filter, or a crop of one pixel aside, changes noise by ten times as much and more.
_MOST_DIFFERENCE = 0.5
_NOISE = np.random.default_rng(0).integers(0, 256, (331, 427, 3), dtype=np.uint8)

Process = Callable[[Image.Image], npt.NDArray[np.float32]]


def read_preprocessing(folder: Path) -> Preprocessing:
    """What a model's image processor does to a photo: that of transformers, timm or open_clip.

    Raises:
        BackboneError: there is none, it cannot be followed, or it does more than `Preprocessing` can; the
            message names the file.
    """
    known_format = format_of(folder)
    read = _of_open_clip if known_format == OPEN_CLIP else _of_transformers
    names = {OPEN_CLIP: OPEN_CLIP_CONFIG, TIMM: CONFIG, TRANSFORMERS: PREPROCESSOR_CONFIG}
    where = f"{folder / names[known_format]} cannot be followed"
    try:
        own, process, name = read(folder)
        difference = _difference(own, process(Image.fromarray(_NOISE)))
    except Exception as error:  # libraries raise nearly anything on a config that they cannot follow
        raise BackboneError(f"{where}: {reason(error)}") from error
    if not difference <= _MOST_DIFFERENCE:
        raise BackboneError(
            f"{where}: {name} does more to photos than resizing, cropping, rescaling and normalising them "
            f"(pixels differ by {difference:.1f} of 255). Choose another backbone."
        )
    return own


def _difference(own: Preprocessing, expected: npt.NDArray[np.float32]) -> float:
    """Mean difference from what a processor made of noise, in levels of 255; infinite for other shapes."""
    import torch

    values = own.pixel_values(torch.from_numpy(own.resized(_NOISE)[np.newaxis]))[0].numpy()
    if values.shape != expected.shape:
        return math.inf
    std = np.array(own.std)[:, np.newaxis, np.newaxis]
    return float(np.abs((values - expected) * std).mean() / own.rescale_factor)


def _of_transformers(folder: Path) -> tuple[Preprocessing, Process, str]:
    from transformers import AutoImageProcessor

    auto: Any = AutoImageProcessor  # its methods are untyped
    with quiet_transformers():
        processor = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def process(photo: Image.Image) -> npt.NDArray[np.float32]:
        return np.asarray(processor(images=photo, return_tensors="pt").pixel_values[0], np.float32)

    timm: dict[str, Any] | None = getattr(processor, "data_config", None)
    return (_as_timm(timm) if timm else _as_transformers(processor)), process, type(processor).__name__


def _as_transformers(processor: Any) -> Preprocessing:
    def height_width(size: Any) -> tuple[int, int]:
        if not (size and size.height and size.width):
            raise BackboneError(f"the size {size!r} is neither height and width nor the shortest edge.")
        return int(size.height), int(size.width)

    if getattr(processor, "do_pad", None):
        raise BackboneError("do_pad is not supported.")
    size, normalised = processor.size, processor.do_normalize
    resize: int | tuple[int, int] | None = None
    crop = height_width(processor.crop_size) if processor.do_center_crop else None
    crop_share = getattr(processor, "crop_pct", None)
    if processor.do_resize and size and size.shortest_edge:
        resize = int(size.shortest_edge)
        if crop_share:  # ConvNeXt: from 384 pixels on, the whole photo is made square
            crop = crop or (resize, resize)
            resize = int(resize / crop_share) if resize < 384 else crop
    elif processor.do_resize:
        resize = height_width(size)
    return Preprocessing(
        resize=resize,
        resample=int(processor.resample),
        crop=crop,
        rescale_factor=float(processor.rescale_factor) if processor.do_rescale else 1.0,
        mean=_three(processor.image_mean) if normalised else (0.0, 0.0, 0.0),
        std=_three(processor.image_std) if normalised else (1.0, 1.0, 1.0),
        longest=int(size.longest_edge) if isinstance(resize, int) and size.longest_edge else None,
    )


def _as_timm(config: dict[str, Any]) -> Preprocessing:
    _, height, width = config["input_size"]
    scaled = [math.floor(side / config["crop_pct"]) for side in (height, width)]
    return Preprocessing(
        resize=(scaled[0], scaled[1]) if config["crop_mode"] == "squash" else scaled[0],
        resample=int(Image.Resampling[config["interpolation"].upper()]),
        crop=(height, width),
        rescale_factor=1 / 255,
        mean=_three(config["mean"]),
        std=_three(config["std"]),
        rounded=True,
    )


def _of_open_clip(folder: Path) -> tuple[Preprocessing, Process, str]:
    import json

    from open_clip.transform import PreprocessCfg, image_transform_v2

    content = json.loads((folder / OPEN_CLIP_CONFIG).read_text(encoding="utf-8"))
    side = content["model_cfg"]["vision_cfg"]["image_size"]
    config = PreprocessCfg(**{"size": side, **content.get("preprocess_cfg", {})})
    height, width = (config.size, config.size) if isinstance(config.size, int) else config.size
    transform = image_transform_v2(config, is_train=False)
    squashed = config.resize_mode == "squash"
    own = Preprocessing(
        resize=(height, width) if squashed else height,
        resample=int(Image.Resampling[config.interpolation.upper()]),
        crop=None if squashed else (height, width),
        rescale_factor=1 / 255,
        mean=_three(config.mean),
        std=_three(config.std),
        rounded=not squashed,
    )
    return own, lambda photo: np.asarray(transform(photo), np.float32), "open_clip"


def _three(values: Any) -> tuple[float, float, float]:
    per_channel = [values] * 3 if isinstance(values, (int, float)) else values
    if len(per_channel) != 3:
        raise BackboneError(f"image_mean and image_std need one value per channel (3), not {per_channel}.")
    red, green, blue = (float(value) for value in per_channel)
    return red, green, blue
