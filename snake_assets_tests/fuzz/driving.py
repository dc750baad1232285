"""Drives children through a target's cases: one that dies or hangs is named, and the next goes on."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

# So that what a library gathers is not taken for a reader's.
CASES_A_CHILD = 2000
# What the system ends a child with that has used up its time.
HUNG = (-signal.SIGALRM, -signal.SIGPROF)


@dataclass
class Tally:
    """What came of a target's cases: how many were read, refused, crashed, hung; the last two by number."""

    target: str
    outcomes: Counter[str] = field(default_factory=Counter)
    peak_mb: int = 0
    seconds: float = 0.0
    faults: dict[int, str] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """As a row of a table."""
        outcomes = {name: self.outcomes[name] for name in ("read", "refused", "crashed", "hung")}
        counts = {"target": self.target, "cases": self.outcomes.total(), **outcomes}
        return counts | {"peak_mb": self.peak_mb, "seconds": round(self.seconds, 1)}

    def count(self, number: int, outcome: str, fault: str) -> None:
        """Add a case."""
        self.outcomes[outcome] += 1
        if outcome in ("crashed", "hung"):
            self.faults[number] = fault


def drive(target: str, command: Sequence[str], cases: int) -> Tally:
    """Try cases 0 to `cases` of a target, each at most once.

    `command` starts a child (child.py), which ends itself where a case takes too long; the first case and the
    end are appended.
    """
    tally, began = Tally(target), time.monotonic()
    while (done := tally.outcomes.total()) < cases:
        end = min(cases, done + CASES_A_CHILD)
        _drive_child([*command, str(done), str(end)], tally)
    tally.seconds = time.monotonic() - began
    return tally


def _drive_child(command: Sequence[str], tally: Tally) -> None:
    """Count what a child says, and the case that it died of."""
    running: int | None = None
    before = tally.outcomes.total()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        for line in child.stdout or ():
            said = json.loads(line)
            running = None if "outcome" in said else said["case"]
            if "outcome" in said:
                tally.count(said["case"], said["outcome"], said["fault"])
                tally.peak_mb = max(tally.peak_mb, said["peak_mb"])
    status = child.returncode
    if running is not None:
        outcome = "hung" if status in HUNG else "crashed"
        tally.count(running, outcome, f"the process ended with {status}")
    elif tally.outcomes.total() == before:
        raise RuntimeError(f"{' '.join(command)} ended with {status} before its first case")
