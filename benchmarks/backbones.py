"""Backbones to measure with: any DINOv2 config with random weights, in Hugging Face format."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import Dinov2Config, Dinov2Model
from transformers.utils import logging as hf_logging


def write_backbone(folder: Path, config: Dinov2Config, *, shortest_edge: int = 256, crop: int = 224) -> Path:
    """Write a model of fixed random weights, preprocessing as facebook/dinov2-base has it by default."""
    switches: Any = hf_logging  # its functions are untyped
    switches.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = Dinov2Model(config)
    model.save_pretrained(folder)
    preprocessing = {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": shortest_edge},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": crop, "width": crop},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "do_convert_rgb": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def flops_per_photo(config: Dinov2Config, patches: int) -> int:
    """Floating point operations of the matrix products of one forward pass, a multiply-add counted as two."""
    width, tokens = config.hidden_size, 1 + patches
    patch: Any = config.patch_size  # one number in all DINOv2 models
    patch_values = config.num_channels * patch * patch
    queries_keys_values, projection = 3 * tokens * width**2, tokens * width**2
    scores, mix = tokens**2 * width, tokens**2 * width
    mlp = 2 * tokens * width * int(width * config.mlp_ratio)
    layer = queries_keys_values + scores + mix + projection + mlp
    return int(2 * (patches * patch_values * width + config.num_hidden_layers * layer))
