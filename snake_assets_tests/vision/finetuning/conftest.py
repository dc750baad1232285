"""A dozen photos of three colours, and where a head of three classes begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.finetuning.model import Learner, Start, build_learner
from snake_assets.vision.finetuning.photos import LabelledPhotos
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets_tests.vision.conftest import encode
from snake_assets_tests.vision.embedding.test_embed import images

CLASSES = 3


def coloured(number: int) -> bytes:
    """A photo whose class, its number modulo `CLASSES`, is its brightest channel."""
    pixels = np.random.default_rng(number).integers(0, 120, (60, 64, 3), dtype=np.uint8)
    pixels[..., number % CLASSES] += 100
    return encode(Image.fromarray(pixels))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[LabelledPhotos, LabelledPhotos]:
    """Nine to learn from, three to hold out, out of three shards."""
    table = images(tmp_path_factory.mktemp("tuning"), {f"{n:02}.jpg": coloured(n) for n in range(12)}, 5)
    learned, kept = np.arange(9), np.arange(9, 12)
    return (
        LabelledPhotos(table, learned, learned % CLASSES),
        LabelledPhotos(table, kept, kept % CLASSES),
    )


@pytest.fixture(scope="session")
def start() -> Start:
    """A probe of random weights on 32 + 32 values, and what venomous taken for harmless costs."""
    rng = np.random.default_rng(0)
    weight = 0.1 * rng.normal(size=(64, CLASSES)).astype(np.float32)
    costs = np.array([[0, 2, 2], [5, 0, 1], [5, 1, 0]], np.float32)
    return Start(weight, np.array([0.1, 0, -0.1], np.float32), np.array([0.5, 0.3, 0.2], np.float32), costs)


def learner_of(backbone: Backbone, start: Start, **settings: object) -> Learner:
    return build_learner(backbone, start, FinetuneSettings.model_validate(settings))


def learned_in(folder: Path) -> bytes:
    """The weights that a training has written."""
    return (folder / "model.safetensors").read_bytes()
