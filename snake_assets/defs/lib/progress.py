"""How far a step is: a line in the run's log every few seconds, and a bar in the terminal it came from."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import dagster as dg

from snake_assets.command_line import TERMINAL_VARIABLE

SECONDS_BETWEEN_LINES = 5.0
Progress = Callable[[int, int], None]


@contextmanager
def progress(context: dg.AssetExecutionContext, what: str, unit: str = "photos") -> Iterator[Progress]:
    """A callback that is told what is done and what there is to do; lines are logged, and a bar is drawn."""
    with _terminal() as terminal, _bar(what, unit, terminal) as bar:
        log = _lines(context, what, unit)

        def report(done: int, to_do: int) -> None:
            log(done, to_do)
            bar(done, to_do)

        yield report


def _lines(context: dg.AssetExecutionContext, what: str, unit: str) -> Progress:
    """Done, rate, time left. Time counts from the first call, behind what has to be set up."""
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

    return report


@contextmanager
def _bar(what: str, unit: str, terminal: IO[str] | None) -> Iterator[Progress]:
    from tqdm import tqdm  # type: ignore[import-untyped]

    with tqdm(desc=what, unit=f" {unit}", file=terminal, disable=terminal is None, leave=False) as bar:

        def report(done: int, to_do: int) -> None:
            bar.total = to_do
            bar.update(done - bar.n)
            if done == to_do:
                bar.refresh()  # it draws ten times a second at most, and the last time counts

        yield report


@contextmanager
def _terminal() -> Iterator[IO[str] | None]:
    """The terminal of whoever started this, if there is one.

    A step's standard error goes to a file first, so the command line that starts it names the terminal.
    """
    announced = os.environ.get(TERMINAL_VARIABLE)
    if sys.stderr.isatty():
        yield sys.stderr
    elif announced and os.access(announced, os.W_OK):
        with Path(announced).open("w") as terminal:
            yield terminal
    else:
        yield None
