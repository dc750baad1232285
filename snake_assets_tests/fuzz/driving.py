"""Drives a target through its cases, each in a process of its own: one that dies or hangs is named."""

import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snake_assets_tests.fuzz.readers import build_targets
from snake_assets_tests.interrupting import Job, interruptible

# Above what Python and its libraries reserve (2 GB) it leaves the 1.8 GB of the largest WEBP.
MOST_ADDRESS_SPACE = 6 << 30
# Waiting for a busy machine is no hang; but a deadlock takes no processor time.
MOST_PROCESSOR_SECONDS, MOST_SECONDS = 10, 120
HUNG = (-signal.SIGXCPU, -signal.SIGKILL)


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


def drive(target: str, cases: int, job: Callable[..., Job], *arguments: Any) -> Tally:
    """Try cases 0 to `cases` of a target, each once; `job` makes what tries a case of these arguments."""
    tally, began = Tally(target), time.monotonic()
    with interruptible(job) as runner:
        runner.prepare(*arguments)
        for number in range(cases):
            ended = runner.run(number, kill_after=MOST_SECONDS)
            died = "hung" if ended.exitcode in HUNG else "crashed", f"ended with {ended.exitcode}", 0
            outcome, fault, peak_mb = ended.returned or died
            tally.outcomes[outcome] += 1
            tally.peak_mb = max(tally.peak_mb, peak_mb)
            if outcome in ("crashed", "hung"):
                tally.faults[number] = fault
    tally.seconds = time.monotonic() - began
    return tally


def cases_of(target_name: str, seed: str) -> Job:
    """Tries a case of a target: how it ended, why, and the most memory so far; a crash ends the process."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="snake-fuzz-seeds-") as workspace:
        target = build_targets(Path(workspace))[target_name]

    def job(number: int) -> tuple[str, str, int]:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESS_SPACE, MOST_ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_PROCESSOR_SECONDS, MOST_PROCESSOR_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            outcome, fault = target.try_case(seed, number), ""
        except BaseException:
            outcome, fault = "crashed", traceback.format_exc()
        return outcome, fault, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    return job
