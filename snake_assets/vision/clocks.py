"""How long a device works, even one that works on its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from time import perf_counter
from typing import Any


class DeviceClock:
    """Marks moments in the work of one device: CUDA events there, the processor's clock elsewhere."""

    def __init__(self, device: str) -> None:
        """For work that is sent to `device` ("cpu", "cuda:0", ...)."""
        self._device, self._on_its_own = device, device.startswith("cuda")
        self._moments: list[Any] = []
        self._stages: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send work to the device inside; the first stage begins here."""
        import torch

        with torch.cuda.device(self._device) if self._on_its_own else nullcontext():
            self._moments.append(self._now())
            yield

    def mark(self, stage: str) -> None:
        """What was sent since the last mark belongs to `stage`."""
        self._stages.append(stage)
        self._moments.append(self._now())

    def wait(self) -> None:
        """Return when the device has reached the last mark."""
        if self._on_its_own:
            self._moments[-1].synchronize()

    def seconds(self) -> dict[str, float]:
        """Seconds by stage; only after `wait`."""
        total = dict.fromkeys(self._stages, 0.0)
        for stage, (start, end) in zip(self._stages, pairwise(self._moments), strict=True):
            total[stage] += start.elapsed_time(end) / 1000 if self._on_its_own else end - start
        return total

    def _now(self) -> Any:
        import torch

        if not self._on_its_own:
            return perf_counter()
        moment = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        moment.record()
        return moment
