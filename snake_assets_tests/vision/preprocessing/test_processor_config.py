"""Preprocessor files of every kind: followed, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snake_assets.vision.errors import BackboneError
from snake_assets.vision.preprocessing.processor_config import read_preprocessing
from snake_assets_tests.vision.conftest import PREPROCESSORS, write_preprocessor


@pytest.mark.parametrize("model_type", ["vit", "dinov2", "dinov2_with_registers", "dinov3_vit"])
def test_file_without_a_type_follows_the_model(tmp_path: Path, model_type: str) -> None:
    kind = model_type.removesuffix("_with_registers")
    config = {k: v for k, v in PREPROCESSORS[kind].items() if k != "image_processor_type"}
    write_preprocessor(tmp_path / "silent", **config)
    (tmp_path / "silent" / "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
    named = read_preprocessing(write_preprocessor(tmp_path / "named", **PREPROCESSORS[kind]))
    assert read_preprocessing(tmp_path / "silent") == named


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"image_processor_type": "MadeUpProcessor"}, "MadeUpProcessor"),
        ({"size": 224}, "None"),
        (PREPROCESSORS["vit"] | {"size": {"shortest_edge": 9, "longest_edge": 20}}, "longest_edge"),
        (PREPROCESSORS["vit"] | {"size": {"shortest_edge": 9}}, "different shapes"),
        (PREPROCESSORS["vit"] | {"do_resize": False}, "different shapes"),
        (PREPROCESSORS["vit"] | {"do_pad": True}, "do_pad"),
        (PREPROCESSORS["vit"] | {"image_mean": [0.5]}, "per channel"),
        (PREPROCESSORS["vit"] | {"resample": 77}, "77"),
        (PREPROCESSORS["vit"] | {"size": "large"}, "large"),
    ],
)
def test_refusals_name_the_file(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    with pytest.raises(BackboneError, match=words) as caught:
        read_preprocessing(write_preprocessor(tmp_path, **config))
    assert str(tmp_path / "preprocessor_config.json") in str(caught.value)


@pytest.mark.parametrize("content", [None, "{", "[]", b"\xff\xfe\x00"])
def test_missing_or_broken_file(tmp_path: Path, content: str | bytes | None) -> None:
    path = tmp_path / "preprocessor_config.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BackboneError) as caught:
        read_preprocessing(tmp_path)
    assert str(path) in str(caught.value)
