"""Batches dealt among replicas of a backbone, and batches filled up for a model of one shape."""

import numpy as np
import pytest
import torch

from snake_assets.storage.tables.manifest import Shard
from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.features import DCT_STAGE
from snake_assets.vision.embedding.replicas import Replicas
from snake_assets.vision.inference.dataloader import PhotoBatch
from snake_assets.vision.inference.runner import MODEL
from snake_assets_tests.vision.conftest import describe, picture

SHARD = Shard("part-00000.parquet", "unit", 3, 10, "digest")


def pixels(backbone: Backbone, count: int, seed: int = 0) -> torch.Tensor:
    photos = [np.asarray(picture(90, 80, seed + n)) for n in range(count)]
    resized = [backbone.preprocessing.resized(photo) for photo in photos]
    return torch.from_numpy(np.stack(resized)) if resized else torch.empty(0, 56, 56, 3, dtype=torch.uint8)


def batch(backbone: Backbone, count: int, seed: int) -> PhotoBatch:
    return PhotoBatch(SHARD, [f"{seed}-{n}" for n in range(count)], pixels(backbone, count, seed), {}, {})


def test_two_replicas_see_what_one_sees_in_the_order_given(backbone: Backbone):
    batches = [batch(backbone, count, seed) for seed, count in enumerate((2, 0, 3, 1, 2))]
    for devices in (("cpu",), ("cpu", "cpu")):
        replicas = Replicas(backbone, devices)
        seen = list(replicas.see(batches))
        assert [one.photos for one in seen] == batches
        assert [one.found is None for one in seen] == [not given.digests for given in batches]
        for one, given in zip(seen, batches, strict=True):
            if one.found:
                alone = describe(backbone, given.pixels.numpy())
                np.testing.assert_array_equal(one.found.cls, alone.cls)
                assert one.seconds[MODEL] > 0 and one.seconds[DCT_STAGE] > 0
        assert replicas.peak_device_bytes() is None


def test_a_batch_is_filled_up_for_a_compiled_model_and_its_own_photos_come_out(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
):
    compiled: list[dict[str, object]] = []
    shapes: list[int] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled.append(options))
    hook = backbone.model.register_forward_pre_hook(
        lambda model, given, named: shapes.append(len(named["pixel_values"])), with_kwargs=True
    )
    replicas = Replicas(backbone, ("cpu",), compiled_for=4)
    assert shapes == []
    replicas.make_ready()
    assert shapes == [4]
    given = [batch(backbone, 4, 0), batch(backbone, 1, 5)]
    seen = list(replicas.see(given))
    hook.remove()
    assert compiled == [{"dynamic": False}]
    assert shapes == [4, 4, 4]
    for one, photos in zip(seen, given, strict=True):
        assert one.found is not None
        alone = describe(backbone, photos.pixels.numpy())
        np.testing.assert_allclose(one.found.cls, alone.cls, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one.found.dct, alone.dct, rtol=1e-3, atol=1e-3)
