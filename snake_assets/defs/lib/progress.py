"""How far a step is: a line in the run's log every few seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

SECONDS_BETWEEN_LINES = 5.0
Progress = Callable[[int, int], None]


@contextmanager
def progress(context: dg.AssetExecutionContext, what: str, unit: str = "photos") -> Iterator[Progress]:
    """A callback that is told what is done and what there is to do, and logs it with rate and time left.

    Time counts from its first call, behind what has to be set up.
    """
    began = last = 0.0
    first: int | None = None

    def report(done: int, to_do: int) -> None:
        nonlocal began, last, first
        now = time.monotonic()
        if first is None:
            began, last, first = now, now, done
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = (done - first) / (now - began)
        left = (to_do - done) / rate if rate else float("inf")
        shown = f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
        context.log.info(f"{what}: {done:,} of {to_do:,} {unit}, {shown} {unit}/s, {left:.0f} s left")

    yield report
