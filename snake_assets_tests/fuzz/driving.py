"""Drives children through a target's cases: one that dies or hangs is named, and the next goes on."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

# Far above the child's own limit on processor time: for a deadlock, which takes none.
MOST_SECONDS = 120.0
# So that what a library gathers is not taken for a reader's.
CASES_A_CHILD = 2000


@dataclass
class Tally:
    """What came of a target's cases; `faults` are crashed and hung ones, by number."""

    target: str
    cases: int = 0
    read: int = 0
    refused: int = 0
    crashed: int = 0
    hung: int = 0
    peak_mb: int = 0
    seconds: float = 0.0
    faults: dict[int, str] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """As a row of a table."""
        row = asdict(self)
        del row["faults"]
        return row | {"seconds": round(self.seconds, 1)}

    def count(self, number: int, outcome: str, fault: str = "") -> None:
        """Add a case."""
        self.cases += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome in ("crashed", "hung"):
            self.faults[number] = fault


def drive(target: str, command: Sequence[str], cases: int, most_seconds: float = MOST_SECONDS) -> Tally:
    """Try cases 0 to `cases`, each at most once.

    Args:
        target: its name.
        command: starts a child (child.py); the first case and the end are appended.
        cases: how many.
        most_seconds: that a child may be silent.
    """
    tally = Tally(target)
    began = time.monotonic()
    while tally.cases < cases:
        end = min(cases, tally.cases + CASES_A_CHILD)
        _drive_child([*command, str(tally.cases), str(end)], tally, most_seconds)
    tally.seconds = time.monotonic() - began
    return tally


def _drive_child(command: Sequence[str], tally: Tally, most_seconds: float) -> None:
    """Count what a child says, and the case that it died of."""
    running: int | None = None
    before = tally.cases
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        lines: Queue[str | None] = Queue()
        listener = Thread(target=_listen, args=(child.stdout, lines))
        listener.start()
        try:
            while line := lines.get(timeout=most_seconds):
                said = json.loads(line)
                running = None if "outcome" in said else said["case"]
                if "outcome" in said:
                    tally.count(said["case"], said["outcome"], said["fault"])
                    tally.peak_mb = max(tally.peak_mb, said["peak_mb"])
        except Empty:
            child.kill()
        status = child.wait()
        listener.join()
    if running is not None:
        hung = status in (-signal.SIGKILL, -signal.SIGPROF)
        tally.count(running, "hung" if hung else "crashed", f"the process ended with {status}")
    elif tally.cases == before:
        raise RuntimeError(f"{' '.join(command)} ended with {status} before its first case")


def _listen(stdout: Iterable[str], lines: "Queue[str | None]") -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)


def keep_fault(folder: Path, name: str, content: bytes, fault: str) -> Path:
    """Write a case's input and its fault to files, to be tried again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(fault)
    (folder / f"{name}.bin").write_bytes(content)
    return folder / f"{name}.bin"


def child_command(target: str, seed: str) -> list[str]:
    """What `drive` starts for a target."""
    return [sys.executable, "-m", "snake_assets_tests.fuzz.child", target, seed]
