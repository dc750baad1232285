"""The lines of a lock file."""

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
RUNTIME = PROJECT / "requirements.lock"
# The same, and what deploy/ needs beyond.
DEPLOYED = PROJECT / "requirements-deploy.lock"


@dataclass(frozen=True, order=True)
class Pin:
    """One pinned package. `marker` tells where it is installed; empty means everywhere."""

    name: str
    version: str
    marker: str = ""


def pins(lock: Path = RUNTIME) -> list[Pin]:
    """All pins of a lock file, as `uv pip compile` writes it. Raises ValueError for any other line."""
    found = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        parts = re.fullmatch(r"([a-z0-9-]+)==([^\s;]+)(?: ; (.+))?", line)
        if not parts:
            raise ValueError(f"{lock.name}: {line!r} pins no version: make the file anew with make lock.")
        found.append(Pin(parts[1], parts[2], parts[3] or ""))
    return sorted(found)
