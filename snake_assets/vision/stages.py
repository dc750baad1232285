"""The stages of a pass over photos, and the time that each takes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

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
