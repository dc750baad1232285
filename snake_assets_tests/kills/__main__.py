"""Kills the whole job at random moments and prints what came of it as one JSON line."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from snake_assets_tests.kills.trial import kill_and_tell


def main() -> int:
    """Run the trial; returns 1 where something was lost or ended wrong."""
    parser = argparse.ArgumentParser("python -m snake_assets_tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        told = kill_and_tell(Path(folder), asked.kills, asked.seed)
    sys.stdout.write(json.dumps(told) + "\n")
    return 0 if told["ended_right"] == told["kills"] and not told["lost"] else 1


if __name__ == "__main__":
    sys.exit(main())
