"""The stages of a pass over photos, and the time that each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from time import perf_counter
from typing import Any

# How long a device works, even one that works on its own.


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


READING, DECODING, RESIZING = "reading", "decoding", "resizing"
MODEL, DCT_STAGE, WRITING = "model", "DCT", "writing"
WAITING = "waiting for photos"
# Those of every pass; a model may tell of more.
STAGES = (READING, DECODING, RESIZING, MODEL, WRITING, WAITING)


class StageTimes:
    """Seconds of work by stage. Stages overlap, and several workers may be in one: the sum may be large.

    Each stage is to be told of by one thread only.
    """

    def __init__(self) -> None:
        """All at zero."""
        self.seconds = dict.fromkeys(STAGES, 0.0)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what was measured elsewhere."""
        for stage, amount in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + amount

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure what happens inside."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - began
