"""Jobs that are killed while they run: a fresh process prepares the job once, and forks for every run.

So a run starts within milliseconds, whatever has to be imported or loaded, and nothing that the tests before
it started (threads, locks) is inherited.
"""

import importlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

Job = Callable[..., Any]


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (minus the signal's number), how long it took, what the job returned."""

    exitcode: int
    seconds: float
    returned: Any


class Runner:
    """Runs the job, one run at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def prepare(self, *arguments: Any) -> None:
        """What the function that makes the job is called with; to be told once, before the first run."""
        self._connection.send(arguments)

    def run(self, *arguments: Any, kill_after: float | None = None) -> Ended:
        """Run the job in a process of its own; kill it (SIGKILL) once it has taken `kill_after` seconds."""
        self._connection.send((arguments, kill_after))
        return self._connection.recv()


@contextmanager
def interruptible(prepare: Callable[..., Job], preload: Sequence[str] = ()) -> Iterator[Runner]:
    """A runner of the job that `prepare`, a function of a module, will make.

    The modules in `preload` are imported at once, while the caller goes on.
    """
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, prepare, preload))
    server.start()
    theirs.close()
    try:
        yield Runner(ours)
    finally:
        server.kill()
        server.join()


def _serve(connection: Connection, prepare: Callable[..., Job], preload: Sequence[str]) -> None:
    # pyarrow imports pandas as soon as it needs it, which would take a second of every run.
    for module in ("pandas", *preload):
        importlib.import_module(module)
    job = prepare(*connection.recv())
    while True:
        connection.send(_run(job, *connection.recv()))


def _run(job: Job, arguments: tuple[Any, ...], kill_after: float | None) -> Ended:
    forking = multiprocessing.get_context("fork")
    answer, answering = forking.Pipe(duplex=False)
    began = time.perf_counter()
    process = forking.Process(target=_answer, args=(answering, job, arguments))
    process.start()
    process.join(kill_after)
    process.kill()
    process.join()
    seconds = time.perf_counter() - began
    answering.close()
    returned = answer.recv() if answer.poll() and process.exitcode == 0 else None
    return Ended(process.exitcode or 0, seconds, returned)


def _answer(answering: Connection, job: Job, arguments: tuple[Any, ...]) -> None:
    answering.send(job(*arguments))
