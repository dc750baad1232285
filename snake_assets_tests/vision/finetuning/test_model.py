"""A backbone under training: where it begins, what of it learns, and what cannot be trained."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.encoder import load_encoder
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.finetuning.model import Learner, Start, refuse_untrainable
from snake_assets.vision.preprocessing.transforms import View
from snake_assets_tests.vision.conftest import write_preprocessor
from snake_assets_tests.vision.finetuning.conftest import CLASSES, learner_of

LABELS = torch.arange(6) % CLASSES


def batch(backbone: Backbone) -> torch.Tensor:
    height, width = backbone.preprocessing.input_size
    return torch.randint(0, 255, (6, height, width, 3), generator=torch.Generator().manual_seed(1)).byte()


def step(learner: Learner, photos: torch.Tensor) -> None:
    learner.module.train()
    learner.module(photos, LABELS)["loss"].backward()
    torch.optim.AdamW(learner.groups).step()


def logits(learner: Learner, photos: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = learner.module.eval()(photos)["logits"]
    return found


@pytest.mark.parametrize("kind", ["dinov2", "vit", "dinov3_vit"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_first_logits_are_those_of_the_probe_and_one_layer_learns_alone(
    kind: str, method: str, backbone_folders: dict[str, Path], start: Start
) -> None:
    backbone = open_backbone(str(backbone_folders[kind]), device="cpu", precision="fp32")
    photos = batch(backbone)
    seen = backbone.see(backbone.preprocessing.pixel_values(photos))
    vectors = torch.cat([seen.embedding, seen.patch_mean], dim=1).numpy()
    learner = learner_of(backbone, start, method=method, layers=1, rank=2, learning_rate=0.01)
    probed = vectors @ start.weight + start.bias
    np.testing.assert_allclose(logits(learner, photos).numpy(), probed, rtol=1e-4, atol=1e-4)

    step(learner, photos)
    told = logits(learner, photos)
    assert not np.allclose(told.numpy(), probed, atol=1e-3)
    encoder, before = learner.merged(), load_encoder(backbone.name, backbone.folder).state_dict()
    torch.testing.assert_close(logits(learner, photos), told, rtol=1e-4, atol=1e-4)
    after = encoder.state_dict()
    assert after.keys() == before.keys(), "nothing of LoRA is left"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    rest = {name for name in changed if not re.search(r"layers?\.1\.", name)}
    assert len(rest) < len(changed)
    # Behind the last layer stands a norm.
    assert rest == (
        {name for name in before if re.match("(layer)?norm\\.", name)} if method == "full" else set()
    )


def test_earlier_layers_learn_more_slowly_and_nothing_but_matrices_decays(
    backbone: Backbone, start: Start
) -> None:
    groups = learner_of(backbone, start, layer_decay=0.5, learning_rate=0.1, weight_decay=0.3).groups
    assert sorted({group["lr"] for group in groups}) == [0.001, 0.025, 0.05, 0.1]
    for group in groups:
        assert {one.squeeze().ndim > 1 for one in group["params"]} == {group["weight_decay"] == 0.3}


def with_open_clip(folder: Path) -> Path:
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 4, "vocab_size": 8, "width": 64, "heads": 1, "layers": 1}
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {}}
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def of_timm(folder: Path) -> Path:
    timm = pytest.importorskip("timm")
    shape = {"depth": 1, "embed_dim": 8, "num_heads": 1, "img_size": 32}
    model = timm.create_model("vit_tiny_patch16_224", **shape)
    timm.models.save_for_hf(model, folder, model_args=shape, safe_serialization=True)
    return folder


def without_cls(folder: Path) -> Path:
    from transformers import ConvNextConfig, ConvNextModel

    ConvNextModel(ConvNextConfig(hidden_sizes=[4, 4, 4, 4], depths=[1, 1, 1, 1])).save_pretrained(folder)
    side: dict[str, Any] = {"size": {"height": 32, "width": 32}, "image_processor_type": "ViTImageProcessor"}
    return write_preprocessor(folder, **side)


def test_what_cannot_be_trained_is_refused_in_a_sentence(
    tmp_path: Path, backbone: Backbone, start: Start
) -> None:
    for told, build, view in [
        ("has no CLS token beside", without_cls, View()),
        ("not in the format of", with_open_clip, View()),
        ("is of timm.* set `scale` to 1", of_timm, View(resolution=48)),
    ]:
        folder = build(tmp_path / build.__name__)
        with pytest.raises(BackboneError, match=told):
            refuse_untrainable(open_backbone(str(folder), device="cpu", view=view))
    with pytest.raises(BackboneError, match=r"has 2 layers, fewer than the 3 .*set `layers` lower"):
        learner_of(backbone, start, layers=3)


def test_what_is_published_is_in_evaluation_mode_and_learns_no_more(backbone: Backbone, start: Start) -> None:
    encoder = learner_of(backbone, start, method="lora", rank=1).merged()
    assert not encoder.training
    assert not any(one.requires_grad for one in encoder.parameters())
    fresh = load_encoder(backbone.name, backbone.folder).state_dict()
    assert all(torch.equal(fresh[name], values) for name, values in encoder.state_dict().items())
