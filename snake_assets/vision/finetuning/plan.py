"""What a training will take, told before it starts: measured here, and by a model of other devices."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.encoder import load_encoder
from snake_assets.vision.backbone.tokens import forward
from snake_assets.vision.errors import FinetuningError
from snake_assets.vision.finetuning.model import Learner
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets.vision.finetuning.training import refuse_for_memory, steps_of

if TYPE_CHECKING:
    import torch

# Of GPUs: 10^12 operations of 16-bit matrices a second, without sparsity, and GiB, by NVIDIA's data sheets.
GPUS: Mapping[str, tuple[float, float]] = {"T4": (65, 15), "L4": (121, 22), "H200": (989, 139)}
# What embedding with DINOv2-base reached of the H200's.
UTILISATION = 0.33
STEPS_MEASURED = 3


@dataclass(frozen=True)
class Cost:
    """What a training takes on a device.

    Attributes:
        photos_per_second: seen in training.
        seconds: of all steps; scoring and checkpoints come on top.
        gib: most memory, of the GPU, or of this process on a processor.
        fits: whether the device has that much.
    """

    device: str
    photos_per_second: float
    seconds: float
    gib: float
    fits: bool


def measured(backbone: Backbone, learner: Learner, photos: int, settings: FinetuneSettings) -> Cost:
    """Cost here, by a few steps that change nothing.

    Raises:
        FinetuningError: memory does not hold a step.
    """
    import torch

    device = torch.device(backbone.device)
    module = learner.module.to(device).train()
    height, width = backbone.preprocessing.input_size
    pixels = torch.zeros(settings.batch, height, width, 3, dtype=torch.uint8, device=device)
    labels = torch.zeros(settings.batch, dtype=torch.int64, device=device)
    on_cuda = device.type == "cuda"
    sixteen = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(backbone.precision) if on_cuda else None
    seconds = []
    try:
        for _ in range(STEPS_MEASURED):
            began = time.perf_counter()
            with torch.autocast(device.type, sixteen or torch.bfloat16, enabled=sixteen is not None):
                module(pixels, labels)["loss"].backward()
            if on_cuda:
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - began)
    except (RuntimeError, MemoryError) as error:
        refuse_for_memory(error, backbone, settings)
        raise
    learning = sum(one.numel() for group in learner.groups for one in group["params"])
    module.zero_grad(set_to_none=True)
    # AdamW keeps two numbers for each that learns.
    needed = 8 * learning
    if on_cuda:
        needed += torch.cuda.max_memory_allocated(device)
        there = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = psutil.Process().memory_info().rss
        there = psutil.virtual_memory().available + memory
        needed += memory
    rate = settings.batch / min(seconds)
    in_all = steps_of(photos, settings) * settings.batch * settings.accumulation
    return Cost(backbone.device, rate, in_all / rate, needed / 2**30, needed <= there)


def refuse_too_large(cost: Cost, settings: FinetuneSettings) -> None:
    """Raise FinetuningError where a device has not the memory that a training takes."""
    if not cost.fits:
        raise FinetuningError(
            f"The training would take {cost.gib:.1f} GiB on {cost.device}, more than there is free: halve "
            f"`batch` (now {settings.batch}) and double `accumulation`, set `checkpointing`, or train fewer "
            "`layers`."
        )


def estimated(backbone: Backbone, photos: int, settings: FinetuneSettings) -> Sequence[Cost]:
    """Cost on GPUs, in 16 bits: operations over what they do at `UTILISATION`; memory after Korthikanti.

    Operations of a forward pass are counted by PyTorch; going back takes twice as many through layers that
    learn, and once as many through frozen ones above the first that learns, as all are with LoRA. Memory is
    weights, gradients and AdamW's moments in 32 bits, and for each photo 32 s h bytes a layer, of s tokens
    of width h (Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022,
    less dropout); computed twice, 2 s h, and those of one layer.
    """
    from torch.utils.flop_counter import FlopCounterMode

    size = backbone.preprocessing.input_size
    encoder: Any = load_encoder(
        backbone.name, backbone.folder, size if backbone.resized else None, weights=False
    )
    with FlopCounterMode(display=False) as counter:
        output = forward(encoder, _blank(*size), resized=backbone.resized)
    flops = float(counter.get_total_flops())
    tokens, width = output.last_hidden_state.shape[1:]
    layers = len(output.hidden_states) - 1
    weights = sum(one.numel() for one in encoder.parameters())
    trained = layers if settings.layers is None else min(settings.layers, layers)
    share = trained / layers
    if settings.method == "lora":
        # Two thin matrices beside each of about six square ones and two of four times the width.
        learning, back = trained * settings.rank * width * 18, share
    else:
        learning, back = int(weights * share), 2 * share
    each = 32 * tokens * width * trained
    if settings.checkpointing:
        each, back = 2 * tokens * width * trained + 32 * tokens * width, back + share
    needed = 4 * weights + 12 * learning + 2 * weights + settings.batch * each
    in_all = steps_of(photos, settings) * settings.batch * settings.accumulation
    found = []
    for name, (tera, gib) in GPUS.items():
        rate = tera * 1e12 * UTILISATION / (flops * (1 + back))
        found.append(Cost(name, rate, in_all / rate, needed / 2**30, needed <= gib * 2**30))
    return found


def _blank(height: int, width: int) -> torch.Tensor:
    import torch

    return torch.zeros(1, 3, height, width, device="meta")
