"""What a device or precision setting comes to on machines of every kind."""

import pytest

from snake_assets.vision.backbone.encoder import resolve_device, resolve_precision
from snake_assets.vision.errors import BackboneError


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    for name in ("cuda", "mps", "gpu", "", "CPU"):
        with pytest.raises(BackboneError, match="SNAKE_DEVICE"):
            resolve_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"


def test_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve_precision("auto", "cuda") == "bf16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert resolve_precision("auto", "cuda") == "fp16"
    for unit, chosen in (("avx512_bf16", "bf16"), ("amx_tile", "bf16"), ("avx512_f", "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda unit=unit: {unit: True})
        assert resolve_precision("auto", "cpu") == chosen
    assert resolve_precision("auto", "mps") == "fp32"
    assert [resolve_precision(name, "cpu") for name in ("fp32", "bf16", "fp16")] == [
        "fp32",
        "bf16",
        "fp16",
    ]
    for name in ("fp8", "", "float32"):
        with pytest.raises(BackboneError, match="SNAKE_PRECISION"):
            resolve_precision(name, "cpu")
