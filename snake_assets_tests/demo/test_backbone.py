"""The demo backbone: loads as any Hugging Face model, is always the same, disturbs nothing."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModel, BitImageProcessor

from snake_assets.demo.backbone import build_demo_backbone


def test_loads_and_returns_cls_and_patch_tokens(demo_backbone: Path) -> None:
    model = AutoModel.from_pretrained(demo_backbone).eval()
    assert model.config.model_type == "dinov2"
    with torch.inference_mode():
        images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        tokens = model(images).last_hidden_state
    assert tokens.shape == (2, 1 + 16 * 16, model.config.hidden_size)
    assert not torch.allclose(tokens[0, 0], tokens[1, 0], atol=1e-3)
    assert "never trained" in (demo_backbone / "README.md").read_text()


def test_preprocessing_is_that_of_dinov2_base(demo_backbone: Path) -> None:
    settings = json.loads((demo_backbone / "preprocessor_config.json").read_text())
    assert settings["image_processor_type"] == "BitImageProcessor"
    assert settings["size"] == {"shortest_edge": 256}
    processor = BitImageProcessor.from_pretrained(demo_backbone)
    pixels = processor(torch.zeros(3, 240, 320, dtype=torch.uint8), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 224, 224)


def test_same_weights_every_time_and_global_randomness_untouched(demo_backbone: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    build_demo_backbone(tmp_path / "again")
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (demo_backbone / name).read_bytes()


def test_importing_the_room_loads_no_heavy_library() -> None:
    code = (
        "import sys, snake_assets.demo.dataset, snake_assets.demo.backbone;"
        "print([name for name in ('torch', 'transformers', 'dagster', 'matplotlib') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
