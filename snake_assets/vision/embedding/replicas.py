"""One copy of a backbone on each device of this machine, and the batches that are dealt among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.features import Launched, PhotoFeatures, launch
from snake_assets.vision.embedding.tables import vectors
from snake_assets.vision.inference.dataloader import PhotoBatch
from snake_assets.vision.inference.runner import SeenBatch

if TYPE_CHECKING:
    import torch

# Batches sent to a CUDA device before the first is waited for: it never runs out of work.
SENT_AHEAD = 2


def devices_like(device: str) -> tuple[str, ...]:
    """All devices of this machine that a device's name stands for: every GPU for "cuda", else itself."""
    import torch

    return (
        tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
        if device == "cuda"
        else (device,)
    )


class Replicas:
    """Sees batches by several devices in turn. Which device sees a batch depends on its position alone."""

    def __init__(
        self,
        backbone: Backbone,
        devices: Sequence[str],
        *,
        compiled_for: int | None = None,
        loaded: bool = False,
    ) -> None:
        """Take over a backbone.

        Args:
            backbone: the one to copy; a device of its own name uses it as it is.
            devices: one replica each, in turn.
            compiled_for: compile the models, for batches of so many photos; None: run them as they are.
            loaded: make them ready before the first batch is asked for, while it is made; else they are
                loaded when a batch comes that has a photo.
        """
        self._backbone, self.devices = backbone, tuple(devices)
        self._replicas = [
            backbone if device == backbone.device else backbone.on(device) for device in devices
        ]
        self._compiled_for, self._loaded = compiled_for, loaded or compiled_for is not None

    def make_ready(self) -> None:
        """Load the models, and compile them where that is wanted.

        Raises:
            BackboneError: a model cannot be loaded.
        """
        for replica in self._replicas:
            if self._compiled_for:
                replica.compile(self._compiled_for)
            for part in replica.parts:
                _ = part.model

    def see(
        self, batches: Iterable[PhotoBatch[torch.Tensor]]
    ) -> Iterator[SeenBatch[torch.Tensor, PhotoFeatures]]:
        """The batches in the order given, with their features.

        Raises:
            BackboneError: the model cannot be loaded.
            EmbeddingError: a device's memory is too small.
        """
        if self._loaded:
            self.make_ready()
        on_its_own = self._replicas[0].device.startswith("cuda")
        ahead = SENT_AHEAD * len(self._replicas) if on_its_own else 0
        sent: deque[tuple[PhotoBatch[torch.Tensor], Launched | None]] = deque()
        for number, batch in enumerate(batches):
            sent.append((batch, self._send(number, batch)))
            if len(sent) > ahead:
                yield _received(*sent.popleft())
        while sent:
            yield _received(*sent.popleft())

    def rows(self, table: str, found: Sequence[PhotoFeatures]) -> pa.Table:
        """All columns of an embedding table but the keys, a row for each photo of the batches."""
        return vectors(table, self._backbone, found)

    def peak_device_bytes(self) -> int | None:
        """Most memory in use on any one CUDA device so far; None without one."""
        import torch

        names = [replica.device for replica in self._replicas if replica.device.startswith("cuda")]
        return max((int(torch.cuda.max_memory_allocated(name)) for name in names), default=None)

    def _send(self, number: int, batch: PhotoBatch[torch.Tensor]) -> Launched | None:
        # Models refuse an empty batch, which is what rejects and known photos may leave.
        if not batch.digests:
            return None
        return launch(
            self._replicas[number % len(self._replicas)],
            batch.pixels,
            photos_at_least=self._compiled_for or 0,
        )


def _received(
    photos: PhotoBatch[torch.Tensor], launched: Launched | None
) -> SeenBatch[torch.Tensor, PhotoFeatures]:
    if launched is None:
        return SeenBatch(photos, None, {})
    features = launched.features()
    return SeenBatch(photos, features, launched.seconds())
