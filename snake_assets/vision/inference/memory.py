"""How much memory the process has, and has needed."""

import resource
import sys

import psutil


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """Resident size of this process now, in bytes."""
    return int(psutil.Process().memory_info().rss)
