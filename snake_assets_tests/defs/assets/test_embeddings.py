"""The embedding asset with a backbone of each family: random weights at true shapes, few layers."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch
import transformers

from snake_assets.defs.assets.dependencies import feature_tables
from snake_assets.defs.automation.staleness import SoughtBackbone, stale_features
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.identification import load_package
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_splits
from snake_assets.snakeclef.metadata import METADATA_FILES
from snake_assets.snakeclef.submission import read_submission
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.backbone.tokens import NO_GRID
from snake_assets.vision.embedding.tables import DCT, DINOV2, of_each_backbone
from snake_assets_tests.defs.assets.test_run import QUICK, definitions, metadata, run_job
from snake_assets_tests.vision.conftest import encode, picture
from snake_assets_tests.vision.embedding.test_embed import images, photos

VIT: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 2,
    "patch_size": 16,
    "image_size": 224,
}
SMALL_TEXT = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1}
PYRAMID = {"depths": [1, 1, 1, 1]}
SHORTEST = {"size": {"shortest_edge": 224}}

Build = Callable[[], Any]
Expected = Callable[[Any], torch.Tensor]


def pooled(output: Any) -> torch.Tensor:
    return output.pooler_output


def cls(output: Any) -> torch.Tensor:
    return output.last_hidden_state[:, 0]


def mean(output: Any) -> torch.Tensor:
    return output.last_hidden_state.mean(dim=1)


def two_towers(name: str) -> Build:
    """A pair of encoders, for photos and for text."""
    config, model = (getattr(transformers, f"{name}{part}") for part in ("Config", "Model"))
    return lambda: model(config(text_config=SMALL_TEXT, vision_config=VIT))


def of(name: str, **config: Any) -> Build:
    made, model = (getattr(transformers, f"{name}{part}") for part in ("Config", "Model"))
    return lambda: model(made(**config))


# Family -> its model, its image processor, and what of the model's own output is to be `embedding`.
FAMILIES: Mapping[str, tuple[Build, str, Mapping[str, Any], Expected]] = {
    "siglip": (two_towers("Siglip"), "SiglipImageProcessor", {}, pooled),
    "clip": (two_towers("CLIP"), "CLIPImageProcessor", {}, pooled),
    "ijepa": (of("IJepa", **VIT), "ViTImageProcessor", {}, mean),
    "deit": (of("DeiT", **VIT), "DeiTImageProcessor", {}, cls),
    "swin": (of("Swin", **PYRAMID), "ViTImageProcessor", {}, pooled),
    "convnext": (of("ConvNext", **PYRAMID), "ConvNextImageProcessor", SHORTEST, pooled),
    "dinov3_convnext": (of("DINOv3ConvNext", **PYRAMID), "DINOv3ViTImageProcessor", {}, pooled),
    "resnet": (of("ResNet", **PYRAMID), "ConvNextImageProcessor", SHORTEST, pooled),
}


def saved(folder: Path, build: Build, processor: str, options: Mapping[str, Any]) -> Path:
    torch.manual_seed(0)
    model = build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # biases and tokens start at zero
    model.save_pretrained(folder)
    getattr(transformers, processor)(**options).save_pretrained(folder)
    return folder


def embedded(root: Path, backbone: Path, given: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What a run of the embeddings of `train` tells of its tables, which lie in `root`."""
    images(root / "made", dict(given))
    (root / "image_table").mkdir()
    (root / "made" / "image_table").rename(root / "image_table" / "train")
    config = {"ops": {"embeddings": {"config": {"scale": 1.0}}}}
    graph = definitions(root, root, backbone)
    result = run_job(graph, [DINOV2, DCT], partition_key="train", run_config=config)
    assert result.success
    return {name: metadata(result, name, "train") for name in (DINOV2, DCT)}


def answered(data: Path, root: Path, backbone: Path) -> bool:
    """Whether the whole job with a backbone answers every observation of test."""
    config = {"ops": {**QUICK["ops"], "embeddings": {"config": {"scale": 1.0}}}}
    store = root / "whole"
    assert run_job(definitions(data, store, backbone), run_config=config).success
    tables = (data / "metadata" / METADATA_FILES["test"][0].name, store / "submission" / "submission.csv")
    asked, answers = (
        pl.read_csv(table, infer_schema=False)["observation_id"].unique(maintain_order=True).to_list()
        for table in tables
    )
    return asked == answers


def vectors(root: Path) -> np.ndarray:
    column = open_table(root / DINOV2 / "train").read(["embedding"])["embedding"].combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), -1)


def equal(found: np.ndarray, expected: np.ndarray) -> bool:
    """But for the rounding of pixels, which random weights blow up."""
    found, expected = found - found.mean(), expected - expected.mean()
    return bool(np.sum(found * expected) > 0.999 * np.linalg.norm(found) * np.linalg.norm(expected))


# Of the size that is kept as it is, so that resizing cannot differ: that is tested with the processors.
GIVEN = {f"{number}.png": encode(picture(300, 224, number), "PNG") for number in range(2)}
PHOTOS = [picture(300, 224, number) for number in range(2)]


@pytest.mark.daemon
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_transformers(family: str, tmp_path: Path, small_set: Path) -> None:
    build, processor, options, expected = FAMILIES[family]
    folder = saved(tmp_path / family, build, processor, options)
    told = embedded(tmp_path, folder, GIVEN)
    own = transformers.AutoImageProcessor.from_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    config = getattr(config, "vision_config", config)
    model = transformers.AutoModel.from_pretrained(folder, config=config).eval()
    with torch.no_grad():
        output = expected(model(**own(images=PHOTOS, return_tensors="pt")))
    assert equal(vectors(tmp_path), output.flatten(1).numpy())
    assert told[DCT]["dagster/row_count"] == len(PHOTOS)
    assert told[DINOV2]["peak_memory_mb"] > 0
    assert ("columns" in told[DINOV2]["recipe"]) == (family not in ("clip", "deit"))
    assert answered(small_set, tmp_path, folder)


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("architecture", "options", "expected"),
    [
        ("vit_small_patch16_224", {"depth": 2}, lambda output: output[:, 0]),
        ("vit_base_patch16_siglip_224", {"depth": 2}, None),
        ("convnext_atto", {}, None),
        ("swin_tiny_patch4_window7_224", {"depths": [1, 1, 1, 1]}, None),
    ],
)
def test_a_timm_checkpoint(
    architecture: str, options: dict[str, Any], expected: Expected | None, tmp_path: Path, small_set: Path
) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(architecture, **options).eval()
    timm.models.save_for_hf(model, tmp_path / "timm", model_args=options, safe_serialization=True)
    embedded(tmp_path, tmp_path / "timm", GIVEN)
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    with torch.no_grad():
        features = model.forward_features(torch.stack([transform(photo) for photo in PHOTOS]))
        output = expected(features) if expected else model.forward_head(features, pre_logits=True)
    assert equal(vectors(tmp_path), output.numpy())
    assert answered(small_set, tmp_path, tmp_path / "timm")


@pytest.mark.daemon
def test_an_open_clip_folder(tmp_path: Path, small_set: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    folder = tmp_path / "bioclip"
    folder.mkdir()
    vision = {"image_size": 224, "layers": 2, "width": 768, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
    config = {"model_cfg": {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    embedded(tmp_path, folder, GIVEN)
    with torch.no_grad():
        projected = model.eval().encode_image(torch.stack([transform(photo) for photo in PHOTOS]))
    assert equal(vectors(tmp_path) @ model.visual.proj.detach().numpy(), projected.numpy())
    assert answered(small_set, tmp_path, folder)


@pytest.mark.daemon
def test_everything_works_with_two_backbones_beside_each_other(
    tmp_path: Path, small_set: Path, demo_backbone: Path, quick_map: None
) -> None:
    """At the default scale, 252 and 80 pixels, which is a size that the other one cannot see."""
    tiny = {**VIT, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "image_size": 64}
    size = {"size": {"height": 64, "width": 64}}
    vit = saved(tmp_path / "vit", of("ViT", **tiny), "ViTImageProcessor", size)
    store, both = tmp_path / "store", f"{demo_backbone},{vit}"
    graph = definitions(small_set, store, both)
    assert run_job(graph, run_config=QUICK).success
    recipe = open_table(store / DINOV2 / "train").manifest.recipe
    assert [of["resolution"][0] for of in of_each_backbone(recipe)] == [252, 80]
    fingerprint = SpeciesClassifier.load(store / "species_classifier").fingerprint
    assert re.search(r"252 x 252 pixels, \w+ beside vit \(weights \w+\), photos .* 80 x 80", fingerprint)

    listing = RawData(root=str(small_set)).source(Store(root=str(store))).listing("train")
    for name in (both, f"{vit},{demo_backbone}", str(demo_backbone)):
        sought = SoughtBackbone.of(BackboneSetting(name=name), Store(root=str(store)))
        stale = stale_features(listing, Store(root=str(store)), sought, Crops(mode=CropMode.none))
        assert (stale is None) if name == both else "backbone (backbone, vit)" in stale.why

    assert run_job(graph, "package").success
    photos = open_table(store / "image_table" / "test").read(["image", "observation_id"])
    package = load_package(store / "model_package", "cpu")
    class_ids = dict(zip(package.species.names, package.classifier.class_ids.tolist(), strict=True))
    found = package.identify(*(column.to_pylist() for column in photos.columns))
    handed_in = read_submission(store / "submission" / "submission.csv")
    for row in found.iter_rows(named=True):
        assert handed_in[row["observation_id"]] == class_ids[row["top_k"][0]["species"]]
    for job, told in {"entry": "an entry with one backbone", "ablation": "recipe, which has one"}.items():
        with pytest.raises(dg.Failure, match=told):
            run_job(graph, job)
    with pytest.raises(dg.Failure, match=r"with the backbone .*, vit \(.* not with backbone \("):
        run_job(definitions(small_set, store, demo_backbone), "entry")


def test_without_a_grid_of_tokens_the_dct_is_left_out_by_name(tmp_path: Path) -> None:
    tiny = {"image_size": 64, "window_size": 2, "embed_dim": 8, "num_heads": [1, 1, 1, 1], **PYRAMID}
    side = {"size": {"height": 64, "width": 64}}
    folder = saved(tmp_path / "swin", of("Swin", **tiny), "ViTImageProcessor", side)
    told = embedded(tmp_path, folder, photos(3))
    assert told[DCT] == {"dagster/row_count": 0, "left_out": NO_GRID}
    assert told[DINOV2]["recipe"]["columns"]["embedding"] == "mean token"
    assert not (tmp_path / DCT).exists()
    tables = feature_tables(Store(root=str(tmp_path)), "train", Crops(mode=CropMode.none))
    assert read_splits(tables).dims == {
        "cls": 64,
        "patch_mean": 64,
        "earlier_cls": 32,
        "middle_mean": 32,
    }
