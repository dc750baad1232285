"""The embedding pass on an NVIDIA card: as a processor sees photos, and words where memory ends."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.features import DCT_STAGE
from snake_assets.vision.embedding.tables import DCT, DINOV2
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.inference.runner import MODEL
from snake_assets.vision.preprocessing.transforms import View
from snake_assets_tests.vision.embedding.test_embed import column, half_photo, images, photos, run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def opened(
    folders: dict[str, Path], precision: str, view: View | None = None, device: str = "cuda"
) -> Backbone:
    return open_backbone(str(folders["dinov2"]), device=device, precision=precision, view=view)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_vectors_are_those_of_a_processor(tmp_path: Path, backbone_folders: dict[str, Path]):
    table = images(tmp_path, {**photos(9), "half.jpg": half_photo()})
    view = View(scale=1.15)
    on_card = run(tmp_path / "card", table, opened(backbone_folders, "fp32", view))
    run(tmp_path / "cpu", table, opened(backbone_folders, "fp32", view, "cpu"))
    run(tmp_path / "half", table, opened(backbone_folders, "auto", view))
    assert [reject.image_id for reject in on_card.manifests[DINOV2].rejects] == ["half.jpg"]
    for name, label in ((DINOV2, "embedding"), (DCT, "embedding"), (DINOV2, "middle_mean")):
        ours = column(tmp_path / "card", name, label)
        np.testing.assert_allclose(ours, column(tmp_path / "cpu", name, label), rtol=2e-2, atol=2e-2)
        assert cosines(ours, column(tmp_path / "cpu", name, label)).min() > 0.9999
        assert cosines(ours, column(tmp_path / "half", name, label)).min() > 0.99


def test_processes_that_decode_give_the_bits_of_threads(tmp_path: Path, backbone_folders: dict[str, Path]):
    table, backbone = images(tmp_path, photos(11)), opened(backbone_folders, "auto")
    by_threads = run(tmp_path / "threads", table, backbone, processes="never")
    by_processes = run(tmp_path / "processes", table, backbone, processes="always", decoders=2)
    assert by_threads.computed == by_processes.computed == 11
    for name in (DINOV2, DCT):
        assert (column(tmp_path / "threads", name) == column(tmp_path / "processes", name)).all()
    again = run(tmp_path / "processes", table, backbone, processes="always", decoders=2)
    assert again.computed == 0


def test_the_run_tells_of_its_card(tmp_path: Path, backbone_folders: dict[str, Path]):
    told = run(tmp_path, images(tmp_path, photos(6)), opened(backbone_folders, "auto"))
    assert told.devices == tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    assert told.peak_device_bytes is not None and told.peak_device_bytes > 0
    assert told.stages[MODEL] > 0 and told.stages[DCT_STAGE] > 0


def test_a_compiled_model_gives_nearly_the_same(tmp_path: Path, backbone_folders: dict[str, Path]):
    table, backbone = images(tmp_path, photos(6)), opened(backbone_folders, "fp32")
    run(tmp_path / "eager", table, backbone, compiled="never")
    run(tmp_path / "compiled", table, replace(backbone), compiled="always")
    eager, compiled = (column(tmp_path / how, DINOV2) for how in ("eager", "compiled"))
    assert cosines(eager, compiled).min() > 0.9999


def test_too_little_memory_is_told_in_words(tmp_path: Path, backbone_folders: dict[str, Path]):
    table, backbone = images(tmp_path, photos(5)), opened(backbone_folders, "fp32")
    _ = backbone.model
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_reserved() + (64 << 20)
    torch.cuda.set_per_process_memory_fraction(
        allowed / torch.cuda.get_device_properties(backbone.device).total_memory
    )
    taken = []
    try:
        for size in (1 << 24, 1 << 20, 1 << 16, 1 << 9):
            with suppress(torch.OutOfMemoryError):
                while True:
                    taken.append(torch.empty(size, dtype=torch.uint8, device=backbone.device))
        with pytest.raises(EmbeddingError, match="lower `batch_size`"):
            run(tmp_path, table, backbone, devices=("cuda",))
    finally:
        taken.clear()
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
