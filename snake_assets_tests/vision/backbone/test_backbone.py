"""Small random models of every supported kind: loaded, refused, and seen through."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.model_files import BACKBONE
from snake_assets.vision.embedding.tables import DCT, DINOV2, EMBEDDING_VERSION, recipes
from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.transforms import View
from snake_assets_tests.vision.conftest import KINDS, PREPROCESSORS, write_preprocessor

REGISTERS = {"dinov2": 0, "dinov2_with_registers": 4, "vit": 0, "dinov3_vit": 3}


def load(folder: Path, **settings: Any) -> Backbone:
    backbone = open_backbone(str(folder), device="cpu", **{"precision": "fp32", **settings})
    _ = backbone.model
    return backbone


@pytest.fixture
def copied(backbone_folders: dict[str, Path], tmp_path: Path) -> Path:
    """A DINOv2 folder of one's own, to damage."""
    return Path(shutil.copytree(backbone_folders["dinov2"], tmp_path / "copied"))


def without(folder: Path, weight: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights[weight]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def configured(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def lone(folder: Path, name: str, content: bytes) -> Path:
    """A folder with nothing but this file."""
    (folder / "lone").mkdir()
    (folder / "lone" / name).write_bytes(content)
    return folder / "lone"


def as_pointer(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def indexed(folder: Path, index: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)


# What is done to a folder, or laid beside it, and what the refusal says of it.
REFUSED: list[tuple[Callable[[Path], Path | None], str]] = [
    (lambda to: (to / "config.json").unlink(), "config.json"),
    (lambda to: (to / "preprocessor_config.json").unlink(), "preprocessor_config.json"),
    (lambda to: (to / "model.safetensors").unlink(), "model.safetensors"),
    (lambda to: configured(to, hidden_size=48, num_attention_heads=3), "cannot be loaded"),
    (lambda to: configured(to, model_type="made_up"), "made_up"),
    (lambda to: without(to, "encoder.layer.1.norm1.weight"), "encoder.layer.1.norm1.weight"),
    (lambda to: indexed(to, "{"), "model.safetensors.index.json"),
    (lambda to: indexed(to, "[]"), "model.safetensors.index.json"),
    (lambda to: indexed(to, '{"weight_map": 3}'), "model.safetensors.index.json"),
    (lambda to: lone(to, "dinov2_vitb14_pretrain.pth", b"PK"), "facebook/dinov2-base"),
    (
        lambda to: lone(to, "dinov2_vits14_reg4_pretrain.pth", b"PK") / "dinov2_vits14_reg4_pretrain.pth",
        "facebook/dinov2-with-registers-small",
    ),
    (lambda to: to / "nowhere", "no such folder"),
    (lambda to: to / "model.safetensors", "name the folder that holds it"),
    (
        lambda to: lone(to, "adapter_config.json", b'{"base_model_name_or_path": "some/base"}'),
        "is an adapter (LoRA) over some/base",
    ),
    (lambda to: as_pointer(to, "model.safetensors"), "model.safetensors is a Git LFS pointer"),
    (lambda to: as_pointer(to, "config.json"), "git lfs pull"),
    (lambda to: lone(to, "open_clip_config.json", b"{}"), "without open_clip_model.safetensors"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("patches", [4, 6])
def test_tokens_are_the_models_own_to_the_bit_without_registers(
    backbone_folders: dict[str, Path], kind: str, precision: str, patches: int
) -> None:
    """At its own resolution and at another, although position embeddings are interpolated once and not for
    each batch.
    """
    import torch
    from transformers import AutoModel

    side = patches * (14 if kind.startswith("dinov2") else 16)
    backbone = load(backbone_folders[kind], precision=precision, view=View(resolution=side))
    assert (backbone.layout.prefix, backbone.patch_grid) == (1 + REGISTERS[kind], (patches, patches))
    photos = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    model = AutoModel.from_pretrained(backbone_folders[kind]).eval().to(dtypes[precision])
    options = {"interpolate_pos_encoding": True} if kind == "vit" else {}
    with torch.no_grad():
        hidden = model(photos.to(model.dtype), **options).last_hidden_state.float()
    tokens = backbone.see(photos).tokens
    assert tokens.dtype == torch.float32
    assert torch.equal(tokens[:, 0], hidden[:, 0])
    assert torch.equal(tokens[:, 1:], hidden[:, backbone.layout.prefix :])


class TestLoading:
    def test_several_are_named_with_commas_and_a_folder_with_a_comma_is_one(
        self, backbone_folders: dict[str, Path], copied: Path
    ) -> None:
        one, other = str(backbone_folders["vit"]), str(backbone_folders["dinov3_vit"])
        both = open_backbone(f"{one}, {other}", device="cpu", precision="bf16")
        assert [part.name for part in both.parts] == ["vit", "dinov3_vit"]
        assert {part.precision for part in both.parts} == {"bf16"}
        assert [part.device for part in both.on("meta").parts] == ["meta"] * 2
        assert open_backbone(str(copied.rename(copied.with_name("a,b")))).name == "a,b"
        for name in (f"{one},", f",{one}", f"{one},,{other}"):
            with pytest.raises(BackboneError, match="a name is missing beside a comma"):
                open_backbone(name)
        with pytest.raises(BackboneError, match="names the same model twice"):
            open_backbone(f"{one},{other},{one}")
        with pytest.raises(BackboneError, match="'/no/such', but there is no such folder"):
            open_backbone(f"{one},/no/such")
        configured(copied.with_name("a,b"), hidden_act="relu")
        changed = open_backbone([one, str(copied.with_name("a,b"))])
        configured(copied.with_name("a,b"), hidden_act="gelu")
        with pytest.raises(BackboneError, match="a,b holds another model"):
            changed.refuse_other_files()

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_folder_never_touches_the_network(
        self, backbone_folders: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise AssertionError("the network was touched")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        load(backbone_folders[kind], revision="main")
        with pytest.raises(BackboneError):
            BACKBONE.locate("./facebook/dinov2-base", None)
        with pytest.raises(BackboneError):
            BACKBONE.locate("~/no/such/folder", None)

    def test_a_relative_folder(
        self, backbone_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(backbone_folders["vit"].parent)
        assert open_backbone("vit", device="cpu").name == "vit"
        assert open_backbone("./vit/", device="cpu").name == "vit"
        monkeypatch.chdir(backbone_folders["vit"])
        assert open_backbone(".", device="cpu").name == "vit"

    def test_a_folder_of_the_hubs_cache(self, backbone_folders: dict[str, Path], tmp_path: Path) -> None:
        cache = tmp_path / "models--some--model"
        one, other = (cache / "snapshots" / (digit * 40) for digit in "12")
        shutil.copytree(backbone_folders["dinov2"], one)
        backbone = load(cache)
        assert (backbone.name, backbone.revision) == ("some/model", "1" * 40)
        assert load(one).revision is None
        shutil.copytree(backbone_folders["dinov2"], other)
        with pytest.raises(BackboneError, match="2 snapshots"):
            load(cache)
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text("2" * 40)
        assert load(cache).revision == "2" * 40

    def test_a_classifier_loads_quietly(
        self,
        backbone_folders: dict[str, Path],
        capfd: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with caplog.at_level(logging.WARNING):
            backbone = load(backbone_folders["vit"])
        assert capfd.readouterr() == ("", "")
        assert caplog.records == []
        assert not [name for name, _ in backbone.model.named_parameters() if "pooler" in name]

    def test_sharded_weights(self, backbone_folders: dict[str, Path], tmp_path: Path) -> None:
        import torch
        from transformers import AutoModel

        whole = backbone_folders["dinov2"]
        AutoModel.from_pretrained(whole).save_pretrained(tmp_path, max_shard_size="20KB")
        shutil.copy(whole / "preprocessor_config.json", tmp_path)
        assert not (tmp_path / "model.safetensors").exists()
        photos = torch.ones(1, 3, 56, 56)
        assert torch.equal(load(tmp_path).see(photos).tokens, load(whole).see(photos).tokens)
        shard = max(tmp_path.glob("model-*.safetensors"))
        before = BACKBONE.digest(tmp_path)
        shard.write_bytes(shard.read_bytes() + b" ")
        assert BACKBONE.digest(tmp_path) != before
        shard.unlink()
        with pytest.raises(BackboneError, match=shard.name):
            load(tmp_path)

    def test_weights_without_a_mask_token(self, copied: Path) -> None:
        without(copied, "embeddings.mask_token")
        load(copied)


class TestRefusals:
    def test_code_of_the_repository_is_not_run(self, copied: Path) -> None:
        configured(
            copied, model_type="evil", auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
        )
        ran = copied / "ran"
        (copied / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
        with pytest.raises(BackboneError) as caught:
            load(copied)
        assert "trust_remote_code" not in str(caught.value)
        assert not ran.exists()

    @pytest.mark.parametrize(("laid", "told"), REFUSED)
    def test_what_is_another_thing_is_named_for_what_it_is(
        self, copied: Path, laid: Callable[[Path], Path | None], told: str
    ) -> None:
        name = laid(copied) or copied
        with pytest.raises(BackboneError, match="SNAKE_BACKBONE") as caught:
            load(name)
        assert told in str(caught.value) and str(name) in str(caught.value)

    @pytest.mark.parametrize("kind", ["timm", "open_clip"])
    def test_a_format_whose_package_is_not_installed(
        self, copied: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if kind == "timm":
            (copied / "config.json").write_text('{"architecture": "vit_tiny", "pretrained_cfg": {}}')
        else:
            (copied / "config.json").rename(copied / "open_clip_config.json")
            (copied / "model.safetensors").rename(copied / "open_clip_model.safetensors")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(BackboneError, match=rf"pip install 'snake-assets\[{kind}\]'"):
            load(copied)

    def test_a_model_that_masks_by_chance(self, tmp_path: Path) -> None:
        from transformers import ViTMAEConfig, ViTMAEModel

        small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        ViTMAEModel(ViTMAEConfig(image_size=64, **small)).save_pretrained(tmp_path)
        write_preprocessor(tmp_path, **PREPROCESSORS["vit"])
        with pytest.raises(BackboneError, match="other tokens each time"):
            load(tmp_path)

    def test_model_for_another_resolution(self, backbone_folders: dict[str, Path], tmp_path: Path) -> None:
        folder = Path(shutil.copytree(backbone_folders["vit"], tmp_path / "vit"))
        write_preprocessor(folder, **PREPROCESSORS["vit"] | {"size": 96})
        with pytest.raises(BackboneError, match="96 x 96"):
            load(folder)

    @pytest.mark.parametrize("name", ["", "two words", "a/b/c", "-", "x" * 200, "//", "\x00"])
    def test_nonsense_names(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(BackboneError, match="SNAKE_BACKBONE"):
            BACKBONE.locate(name, None)

    @pytest.mark.parametrize("failure", [OSError("no route"), ValueError("404"), RuntimeError("proxy")])
    def test_hub_failures_say_what_to_do(self, failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise failure

        monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
        with pytest.raises(BackboneError, match=r"SNAKE_BACKBONE.*SNAKE_REVISION.*folder"):
            open_backbone("facebook/dinov2-base", revision="abc")


class TestHub:
    def test_only_the_needed_files_are_fetched(
        self, backbone_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = "0123456789abcdef0123456789abcdef01234567"
        snapshot = tmp_path / "models--some--model" / "snapshots" / commit
        shutil.copytree(backbone_folders["dinov2"], snapshot)
        asked: dict[str, Any] = {}

        def download(
            repo_id: str, *, revision: str | None, allow_patterns: list[str], local_files_only: bool
        ) -> str:
            assert not local_files_only
            asked.update(repo_id=repo_id, revision=revision, allow_patterns=allow_patterns)
            return str(snapshot)

        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        backbone = open_backbone("some/model", revision="v1", device="cpu")
        assert (asked["repo_id"], asked["revision"]) == ("some/model", "v1")
        assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in asked["allow_patterns"])
        parts = backbone.fingerprint_parts()
        assert (parts["backbone"], parts["revision"]) == ("some/model", commit)

        (snapshot / "model.safetensors").unlink()
        with pytest.raises(BackboneError, match=r"SNAKE_BACKBONE is 'some/model'.*safetensors"):
            BACKBONE.locate("some/model", None)


class TestIdentity:
    @pytest.mark.parametrize(("kind", "resize", "side"), [("dinov2", 64, 56), ("vit", [64, 64], 64)])
    def test_recipes_are_those_of_tables_that_are_there(
        self, backbone_folders: dict[str, Path], tmp_path: Path, kind: str, resize: object, side: int
    ) -> None:
        """To the letter, wherever the folder lies: another key or value would have all tables made anew."""
        means = {"dinov2": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), "vit": ([0.5] * 3, [0.5] * 3)}
        common = {
            "version": EMBEDDING_VERSION,
            "view": "whole photo",
            "batch_size": 16,
            "backbone": kind,
            "revision": None,
            "weights": BACKBONE.digest(backbone_folders[kind]),
            "preprocessing": {
                "resize": resize,
                "resample": PREPROCESSORS[kind]["resample"],
                "crop": [56, 56] if kind == "dinov2" else None,
                "rescale_factor": 0.00392156862745098,
                "mean": means[kind][0],
                "std": means[kind][1],
                "pad": False,
            },
            "resolution": [side, side],
            "precision": "fp32",
        }
        backbone = open_backbone(str(backbone_folders[kind]), device="cpu", precision="fp32")
        assert recipes(backbone, 16) == {
            DINOV2: {**common, "layers": {"earlier": 1, "middle": 1}},
            DCT: {**common, "dct": {"kept": 8, "norm": "none"}},
        }
        elsewhere = Path(shutil.copytree(backbone_folders[kind], tmp_path / "elsewhere" / kind))
        assert load(elsewhere).fingerprint_parts() == backbone.fingerprint_parts()

    def test_digest_sees_every_file_that_counts(self, copied: Path, tmp_path: Path) -> None:
        before = {BACKBONE.digest(copied)}
        (copied / "README.md").write_text("words")
        assert {BACKBONE.digest(copied)} == before
        for file in ("config.json", "preprocessor_config.json", "model.safetensors"):
            (copied / file).write_bytes((copied / file).read_bytes() + b"\n")
            before.add(BACKBONE.digest(copied))
        assert len(before) == 4
        with pytest.raises(BackboneError, match=r"config\.json"):
            BACKBONE.digest(tmp_path)
