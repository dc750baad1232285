"""The demo backbone: loads as any Hugging Face model, is always the same, disturbs nothing."""

from pathlib import Path

import torch
from transformers import AutoModel, BitImageProcessor

from snake_assets.demo.backbone import build_demo_backbone


def test_loads_as_dinov2_base_does(demo_backbone: Path) -> None:
    model = AutoModel.from_pretrained(demo_backbone).eval()
    assert model.config.model_type == "dinov2"
    processor = BitImageProcessor.from_pretrained(demo_backbone)
    photo = torch.randint(256, (3, 240, 320), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = processor([photo, photo.flip(1)], return_tensors="pt")["pixel_values"]
    assert pixels.shape == (2, 3, 224, 224)
    with torch.inference_mode():
        tokens = model(pixels).last_hidden_state
    assert tokens.shape == (2, 1 + 16 * 16, model.config.hidden_size)
    assert not torch.allclose(tokens[0, 0], tokens[1, 0], atol=1e-3)
    assert "never trained" in (demo_backbone / "README.md").read_text()


def test_same_weights_every_time_and_global_randomness_untouched(demo_backbone: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    build_demo_backbone(tmp_path / "again")
    assert torch.equal(torch.random.get_rng_state(), before)
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (demo_backbone / name).read_bytes()
