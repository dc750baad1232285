"""Photos and small backbones that the tests of this room share."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.features import PhotoFeatures, launch


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The image as the bytes of a file."""
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth coloured RGB picture without symmetry, as easy on JPEG as a photo."""
    coarse = np.random.default_rng(seed).integers(
        20, 236, (height // 24 + 3, width // 24 + 3, 3), dtype=np.uint8
    )
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def png(width: int, height: int, bits: int, colour: int, body: bytes, interlaced: bool = False) -> bytes:
    """A PNG with the given header and compressed image data, whether they fit each other or not."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def describe(backbone: Backbone, batch: NDArray[np.uint8]) -> PhotoFeatures:
    """The features of photos of the input's size, uint8 [B, h, w, 3]."""
    import torch

    return launch(backbone, torch.tensor(batch)).features()


def mean_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference per value, of 255."""
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


ALL_STEPS: dict[str, Any] = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "rescale_factor": 0.00392156862745098,
}
IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SQUARE: dict[str, Any] = {"size": {"height": 64, "width": 64}, "resample": 2}
PREPROCESSORS: dict[str, dict[str, Any]] = {
    "dinov2": {
        "image_processor_type": "BitImageProcessor",
        **ALL_STEPS,
        **IMAGENET,
        "crop_size": {"height": 56, "width": 56},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "resample": 3,
        "size": {"shortest_edge": 64},
    },
    "vit": {
        "image_processor_type": "ViTImageProcessor",
        **ALL_STEPS,
        **SQUARE,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "dinov3_vit": {
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        **ALL_STEPS,
        **IMAGENET,
        **SQUARE,
        "crop_size": None,
        "default_to_square": True,
        "do_center_crop": None,
        "do_convert_rgb": None,
    },
}
"""Preprocessor configs as published, but for their sizes."""


def write_preprocessor(folder: Path, **config: Any) -> Path:
    """Put a preprocessor_config.json into the folder (made if need be)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


KINDS = ("dinov2", "dinov2_with_registers", "vit", "dinov3_vit")


@pytest.fixture(scope="session")
def backbone_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small random model per supported kind, saved as the hub would hold it."""
    import torch
    from transformers import (
        Dinov2Config,
        Dinov2Model,
        Dinov2WithRegistersConfig,
        Dinov2WithRegistersModel,
        DINOv3ViTConfig,
        DINOv3ViTModel,
        ViTConfig,
        ViTForImageClassification,
    )

    torch.manual_seed(0)
    small: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    # The published ViTs are classifiers: a head that is not wanted, and no pooler.
    models = {
        "dinov2": Dinov2Model(Dinov2Config(image_size=70, patch_size=14, **small)),
        "dinov2_with_registers": Dinov2WithRegistersModel(
            Dinov2WithRegistersConfig(image_size=70, patch_size=14, num_register_tokens=4, **small)
        ),
        "vit": ViTForImageClassification(
            ViTConfig(image_size=64, patch_size=16, intermediate_size=64, **small)
        ),
        "dinov3_vit": DINOv3ViTModel(
            DINOv3ViTConfig(
                image_size=64, patch_size=16, intermediate_size=64, num_register_tokens=3, **small
            )
        ),
    }
    root = tmp_path_factory.mktemp("backbones")
    for kind, model in models.items():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))  # registers and biases start at zero
        model.save_pretrained(root / kind)
        write_preprocessor(root / kind, **PREPROCESSORS[kind.removesuffix("_with_registers")])
    return {kind: root / kind for kind in KINDS}


@pytest.fixture(scope="module")
def backbone(backbone_folders: dict[str, Path]) -> Backbone:
    """The small DINOv2, loaded once for a module."""
    return open_backbone(str(backbone_folders["dinov2"]), device="cpu", precision="fp32")
