"""The DCT against SciPy, and all features out of one forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.fftpack import dctn

from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets.vision.backbone.features import dct_lowest, orthonormal_factors
from snake_assets_tests.vision.conftest import KINDS, describe, picture


def expected_dct(tokens: np.ndarray, keep: int, norm: str | None = None) -> np.ndarray:
    return np.stack([dctn(t.astype(np.float64), type=2, norm=norm)[:keep, :keep].ravel() for t in tokens])


@pytest.mark.parametrize(
    ("count", "width", "keep"), [(17, 32, 8), (8, 8, 8), (9, 40, 3), (50, 9, 1), (2, 3, 2), (257, 768, 8)]
)
def test_dct_equals_scipy_and_so_does_the_orthonormal_one(count: int, width: int, keep: int) -> None:
    tokens = np.random.default_rng(0).normal(0.3, 2, (3, count, width)).astype(np.float32)
    ours = dct_lowest(torch.from_numpy(tokens), keep)
    assert ours.shape == (3, keep * keep)
    assert ours.dtype == torch.float32
    factors = orthonormal_factors(count, width, keep)
    assert factors.dtype == np.float32
    for found, norm in ((ours.numpy(), None), (ours.numpy() * factors, "ortho")):
        exact = expected_dct(tokens, keep, norm)
        # A coefficient near zero is a difference of large sums, which float32 tokens bound.
        typical = float(np.sqrt((exact**2).mean()))
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6 * typical)


@pytest.mark.parametrize(("shape", "keep"), [((7, 40), 8), ((40, 7), 8), ((40, 40), 0)])
def test_keeping_more_than_there_is(shape: tuple[int, int], keep: int) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        dct_lowest(torch.zeros(1, *shape), keep)


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_one_forward_pass(backbone_folders: dict[str, Path], kind: str) -> None:
    backbone = open_backbone(str(backbone_folders[kind]), device="cpu", precision="fp32")
    given = [np.asarray(picture(90 + 7 * n, 80, seed=n)) for n in range(3)]
    batch = np.stack([backbone.preprocessing.resized(photo) for photo in given])
    passes: list[object] = []
    backbone.model.register_forward_hook(lambda *seen: passes.append(seen))
    features = describe(backbone, batch)
    assert len(passes) == 1
    assert (backbone.layout.earlier, backbone.layout.middle) == (1, 1)
    pixels = backbone.preprocessing.pixel_values(torch.from_numpy(batch))
    tokens = backbone.see(pixels).tokens.numpy()
    norm = next(m for name, m in backbone.model.named_children() if name in ("layernorm", "norm"))
    with torch.no_grad():
        first = backbone.model(pixels, output_hidden_states=True).hidden_states[1]
        earlier = norm(first[:, 0]).numpy()
    middle = first[:, backbone.layout.prefix :].mean(dim=1).numpy()
    np.testing.assert_allclose(features.earlier_cls, earlier, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features.middle_mean, middle, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features.cls, tokens[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features.patch_mean, tokens[:, 1:].mean(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features.dct, expected_dct(tokens, 8), rtol=1e-3, atol=1e-4)
    assert all(values.dtype == np.float32 for values in vars(features).values())
