"""Where a model runs and what it computes in, as far as the machine can."""

from snake_assets.vision.errors import BackboneError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def resolve_device(name: str) -> str:
    """Turn a device setting ("auto", "cpu", "cuda", "mps") into a device that is there; auto: the fastest.

    Raises:
        BackboneError: the name is none of these, or this machine has no such device.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, there in available.items() if there)
    if name not in available:
        raise BackboneError(f"SNAKE_DEVICE is {name!r}; choose one of {', '.join(DEVICES)}.")
    if not available[name]:
        raise BackboneError(
            f"SNAKE_DEVICE is {name!r}, but PyTorch finds no such device here; choose auto or cpu."
        )
    return name


def resolve_precision(name: str, device: str) -> str:
    """Turn a precision setting ("auto", "fp32", "bf16", "fp16") into the one to compute in.

    Auto is bf16 where the device has units for it (CUDA from Ampere on, processors with AVX512-BF16 or AMX),
    fp16 on an older CUDA device, and fp32 elsewhere.

    Args:
        name: the setting.
        device: a device as `resolve_device` returns it.

    Raises:
        BackboneError: the name is none of these.
    """
    import torch

    if name not in PRECISIONS:
        raise BackboneError(f"SNAKE_PRECISION is {name!r}; choose one of {', '.join(PRECISIONS)}.")
    if name != "auto":
        return name
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # Elsewhere a processor only emulates bf16, and is slower by it.
    has_units = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if device == "cpu" and has_units else "fp32"
