"""How the embedding pass is run."""

import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from snake_assets.vision.batch_bytes import batch_bytes
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.inference.ray import RayEngine, refuse_a_ceiling
from snake_assets.vision.memory_plan import batch_under

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

Choice = Literal["auto", "always", "never"]

# On a processor, larger batches no longer fit its caches: DINOv2-base is a quarter slower by 32, ViT-Tiny a
# sixth by 8. On an H200, DINOv2-base sees 6,000 photos a second by 64, 7,100 by 256, 7,200 by 512.
BATCH_SIZE, BATCH_SIZE_ON_CUDA = 16, 256
# Two threads decode 700 photos of 510 x 385 pixels a second, a hundred times what DINOv2-base takes there.
DECODERS = 2
# Processes take seconds to start. Compiling DINOv2-base takes 10 s to a minute and makes a processor's pass
# 1.2 to 1.4 times as fast, which pays from some 2,000 photos up; a GPU sees 100,000 and more in that time.
PROCESSES_FROM = 2_000
COMPILED_FROM, COMPILED_FROM_ON_CUDA = 10_000, 1_000_000


@dataclass(frozen=True)
class EmbeddingSettings:
    """How the pass is run, and what it gives.

    `batch_size` and `orthonormal_dct` are part of the tables' recipe (another batch shape rounds
    differently); the rest only decides speed and memory.

    Attributes:
        batch_size: photos in a forward pass; None: 16, on CUDA 256, or fewer under a ceiling.
        decoders: threads or processes that decode ahead of the model; None: 2, on CUDA one for each
            processor but one.
        read_ahead: batches for each decoder that may be under way or wait: `decoders` x `read_ahead` x
            `batch_size` photos as pixels (0.15 MB each at 224 x 224) are in memory at most.
        processes: whether decoders are processes. "auto": on CUDA, from 2,000 photos up.
        compiled: whether the model is compiled. "auto": for a split of 10,000 photos or more, on CUDA of a
            million or more, and where there is a C++ compiler. The split counts, not what is left to do: a
            run that goes on gives the same bits as one that was never interrupted.
        orthonormal_dct: whether the DCT is scaled to an orthonormal one; the paper's is not.
        devices: what holds a replica of the backbone, batches dealt in turn; None: every device of the
            backbone's kind, which is all GPUs of this machine for "cuda".
        ceiling: bytes of main memory that the process may take; None for no bound. Under one, the default
            batch may be smaller, fewer batches are read ahead, and decoders are threads (memory_plan.py).
        ray: spreads the pass over a Ray cluster; `devices`, `processes` and `read_ahead` are then Ray's own
            affair. None: all is done here.

    Raises:
        EmbeddingError: processes are asked for under a ceiling.
        EngineError: Ray is asked for under a ceiling.
    """

    batch_size: int | None = None
    decoders: int | None = None
    read_ahead: int = 2
    processes: Choice = "auto"
    compiled: Choice = "auto"
    orthonormal_dct: bool = False
    devices: tuple[str, ...] | None = None
    ceiling: int | None = None
    ray: RayEngine | None = None

    def __post_init__(self) -> None:
        """Check what does not go together."""
        if self.ceiling is not None and self.processes == "always":
            raise EmbeddingError(
                "A memory ceiling is that of one process: leave `processes` at auto, or unset SNAKE_MEMORY."
            )
        refuse_a_ceiling(self.ray, self.ceiling)

    def photos_in_a_batch(self, backbone: "Backbone") -> int:
        """`batch_size`, or the device's own, as far as the ceiling lets it."""
        default = BATCH_SIZE_ON_CUDA if backbone.device == "cuda" else BATCH_SIZE
        return self.batch_size or batch_under(self.ceiling, default, partial(batch_bytes, backbone))

    def for_work(self, backbone: "Backbone", to_compute: int, in_all: int) -> "EmbeddingSettings":
        """The same with everything decided that is left to the device and the amount of work.

        Args:
            backbone: the model.
            to_compute: photos that this pass will compute.
            in_all: photos of the split.
        """
        on_cuda = backbone.device == "cuda"
        compiled_from = COMPILED_FROM_ON_CUDA if on_cuda else COMPILED_FROM
        decoders = max(1, (os.cpu_count() or 2) - 1) if on_cuda else DECODERS
        return replace(
            self,
            batch_size=self.photos_in_a_batch(backbone),
            decoders=self.decoders or decoders,
            processes=_decided(
                self.processes, on_cuda and to_compute >= PROCESSES_FROM and self.ceiling is None
            ),
            compiled=_decided(self.compiled, in_all >= compiled_from and _can_compile()),
        )


def _can_compile() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


def _decided(choice: Choice, by_itself: bool) -> Choice:
    if choice == "auto":
        return "always" if by_itself else "never"
    return choice
