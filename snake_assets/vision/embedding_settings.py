"""How the embedding pass is run."""

import os
from dataclasses import dataclass, replace
from typing import Literal

Choice = Literal["auto", "always", "never"]

# Measured where nothing else ran: batches beyond these gain nothing (processor), or were not tried (CUDA).
BATCH_SIZE, BATCH_SIZE_ON_CUDA = 32, 256
# Two threads decode some 500 photos of 510 x 385 pixels a second, ten times what a processor's model takes.
DECODERS = 2
# Processes take seconds to start, and compiling a model takes a minute, to gain a tenth at best.
PROCESSES_FROM, COMPILED_FROM = 2_000, 1_000_000


@dataclass(frozen=True)
class EmbeddingSettings:
    """How the pass is run, and what it gives.

    `batch_size` and `orthonormal_dct` are part of the tables' recipe (another batch shape rounds
    differently); the rest only decides speed and memory.

    Attributes:
        batch_size: photos in a forward pass; None: 32, on CUDA 256.
        decoders: threads or processes that decode ahead of the model; None: 2, on CUDA one for each processor
            but one.
        read_ahead: batches for each decoder that may be under way or wait: `decoders` x `read_ahead` x
            `batch_size` photos as pixels (0.15 MB each at 224 x 224) are in memory at most.
        processes: whether decoders are processes. "auto": on CUDA, from 2,000 photos up.
        compiled: whether the model is compiled. "auto": on CUDA, from a million photos up.
        orthonormal_dct: whether the DCT is scaled to an orthonormal one; the paper's is not.
        devices: what holds a replica of the backbone, batches dealt in turn; None: every device of the
            backbone's kind, which is all GPUs of this machine for "cuda".
    """

    batch_size: int | None = None
    decoders: int | None = None
    read_ahead: int = 2
    processes: Choice = "auto"
    compiled: Choice = "auto"
    orthonormal_dct: bool = False
    devices: tuple[str, ...] | None = None

    def photos_in_a_batch(self, device: str) -> int:
        """`batch_size`, or the device's own."""
        return self.batch_size or (BATCH_SIZE_ON_CUDA if device == "cuda" else BATCH_SIZE)

    def for_photos(self, count: int, device: str) -> "EmbeddingSettings":
        """The same with everything decided that is left to the device and the amount of work."""
        on_cuda = device == "cuda"
        decoders = max(1, (os.cpu_count() or 2) - 1) if on_cuda else DECODERS
        return replace(
            self,
            batch_size=self.photos_in_a_batch(device),
            decoders=self.decoders or decoders,
            processes=_decided(self.processes, on_cuda and count >= PROCESSES_FROM),
            compiled=_decided(self.compiled, on_cuda and count >= COMPILED_FROM),
        )


def _decided(choice: Choice, by_itself: bool) -> Choice:
    if choice == "auto":
        return "always" if by_itself else "never"
    return choice
