"""Builds the tiny untrained DINOv2 that stands in for a real backbone where none is to be had."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from snake_assets.demo.folder import Stamp, place_folder

if TYPE_CHECKING:
    import torch

# Raised whenever the weights change.
BACKBONE_VERSION = 1

_HIDDEN_SIZE = 192
_LAYERS = 4
_PATCH = 14
_CROP = 224

# As facebook/dinov2-base has it.
_PREPROCESSOR = {
    "crop_size": {"height": _CROP, "width": _CROP},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "BitImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 256},
}

_README = """# A tiny DINOv2 that was never trained

The layout is that of facebook/dinov2-base (patch 14, a CLS token, Hugging Face format), much smaller, and
the weights are random numbers of a fixed seed. Its features tell colours and textures apart and nothing
more: good enough to run the whole platform offline on the drawn snakes, of no use for photos of real ones.
Set SNAKE_BACKBONE to a trained model for those.
"""

# Random features tell most when attention is picky, so that CLS looks at a few patches and not at the mean of
# all, and when every patch keeps more of itself than it takes from others.
_SPREADS = {"q_proj": 2.0, "k_proj": 2.0, "v_proj": 1.0, "o_proj": 1.0, "fc1": 2.0, "fc2": 1.0}
_LAYER_SCALES = {"layer_scale1": 0.5, "layer_scale2": 1.0}
_FC1_BIAS_SPREAD = 0.5
_POSITION_SPREAD = 0.02
_FILTER_NORM = 0.8


def _patch_filters(generator: "torch.Generator") -> "torch.Tensor":
    """Random filters [hidden, 3, patch, patch]: a third each of plain colours, coarse, finer structures."""
    import torch
    from torch.nn.functional import interpolate

    filters = []
    for cells in (1, 3, 7):
        coarse = torch.randn(_HIDDEN_SIZE // 3, 3, cells, cells, generator=generator)
        grown = interpolate(coarse, size=(_PATCH, _PATCH), mode="bilinear")
        filters.append(grown / grown.flatten(1).norm(dim=1)[:, None, None, None])
    return _FILTER_NORM * torch.cat(filters)


def _weight(name: str, shape: "torch.Size", generator: "torch.Generator") -> "torch.Tensor":
    """The value of the parameter `name`."""
    import torch

    if name.endswith("patch_embeddings.projection.weight"):
        return _patch_filters(generator)
    if name.endswith("position_embeddings"):
        return _POSITION_SPREAD * torch.randn(shape, generator=generator)
    if name.endswith("token"):
        return torch.randn(shape, generator=generator)
    if name.endswith("fc1.bias"):
        return _FC1_BIAS_SPREAD * torch.randn(shape, generator=generator)
    if name.endswith("bias"):
        return torch.zeros(shape)
    module = name.split(".")[-2]
    if module in _SPREADS:
        spread = _SPREADS[module] / math.sqrt(shape[1])
        return spread * torch.randn(shape, generator=generator)
    return torch.full(shape, _LAYER_SCALES.get(module, 1.0))


def _write_model(folder: Path) -> None:
    import torch
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=_HIDDEN_SIZE,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HIDDEN_SIZE // 32,
        image_size=_CROP,
        patch_size=_PATCH,
    )
    # Building draws numbers that are thrown away; the caller's random state shall not notice.
    with torch.random.fork_rng(devices=[]):
        model = Dinov2Model(config)
    generator = torch.Generator().manual_seed(BACKBONE_VERSION)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(_weight(name, parameter.shape, generator))
    model.save_pretrained(folder)
    # Written for its owner alone, which another user's process could not load.
    (folder / "model.safetensors").chmod(0o644)
    settings = json.dumps(_PREPROCESSOR, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(settings, encoding="utf-8")
    (folder / "README.md").write_text(_README, encoding="utf-8")


def build_demo_backbone(folder: Path) -> None:
    """Writes a tiny untrained DINOv2 into `folder`, in Hugging Face format.

    The weights are the same on every call and torch's global random state is left alone. The folder appears
    whole at the end, and where it already holds this backbone, nothing is done. Raises ForeignFolderError
    when `folder` holds anything else.
    """
    stamp: Stamp = {"holds": "untrained backbone", "version": BACKBONE_VERSION}
    place_folder(folder, stamp, _write_model)
