"""The system's clock as it was: what time the system started at, by every clock that was seen since."""

import json
import math
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import dagster as dg
import psutil

CURSOR = "snake_assets/boots"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Clocks of the system's start and of today agree to about a second.
TOLERANCE_SECONDS = 2.0
MOST_KEPT = 100


@dataclass(frozen=True)
class Boot:
    """When the system started, by one of its clocks. `until`: seconds after it when that clock ended."""

    time: float
    until: float


def remember_boots(instance: dg.DagsterInstance) -> list[Boot]:
    """The time of the system's start by each clock that it was seen to have, the present one last.

    When the clock jumps, so does the time of the system's start. What was seen is kept in the instance; it
    has to be asked before a jump to know of the clock before it. Systems without /proc forget.
    """
    now = psutil.boot_time()
    uptime = time.time() - now
    if not BOOT_ID.is_file():
        return [Boot(now, math.inf)]
    boot = BOOT_ID.read_text(encoding="ascii").strip()
    cursors = instance.daemon_cursor_storage
    kept = json.loads(cursors.get_cursor_values({CURSOR}).get(CURSOR, "{}"))
    seen: list[tuple[float, float]] = kept["seen"] if kept.get("boot") == boot else []
    if not seen or abs(seen[-1][0] - now) > TOLERANCE_SECONDS:
        seen = [*seen, (now, uptime)][-MOST_KEPT:]
        cursors.set_cursor_values({CURSOR: json.dumps({"boot": boot, "seen": seen})})
    before = [Boot(started, until) for (started, _), (_, until) in pairwise(seen)]
    # A clock that was set back before anybody looked: runs have started later than now.
    return [*before, Boot(now, uptime if before else math.inf)]


def was_running(process: int, at: float, boots: list[Boot]) -> bool:
    """Whether the process that has this number now is one that ran at a time: numbers are given again.

    Args:
        process: its number.
        at: seconds since 1970 by the clock of then, whichever that was.
        boots: from `remember_boots`.
    """
    try:
        found = psutil.Process(process)
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        started = found.create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return False
    return any(
        started - TOLERANCE_SECONDS <= at - boot.time <= boot.until + TOLERANCE_SECONDS for boot in boots
    )
