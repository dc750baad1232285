"""Kills the whole job, a fine-tuning, or what answers an inbox, at random; prints what came of it as JSON."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from snake_assets_tests.kills.finetuning import kill_the_tuning
from snake_assets_tests.kills.inbox import kill_the_inbox
from snake_assets_tests.kills.trial import kill_and_tell


def main() -> int:
    """Run the trial; returns 1 where something was lost or ended wrong."""
    parser = argparse.ArgumentParser("python -m snake_assets_tests.kills", description=__doc__)
    parser.add_argument("--inbox", action="store_true", help="runs, sensor and daemon while photos arrive")
    parser.add_argument("--finetune", action="store_true", help="the fine-tuning of a small backbone")
    parser.add_argument("--kills", type=int, help="default: 100, of the inbox 30, of the fine-tuning 10")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        if asked.inbox:
            told = kill_the_inbox(Path(folder), asked.kills or 30, asked.seed)
        elif asked.finetune:
            told = kill_the_tuning(Path(folder), asked.kills or 10, asked.seed)
        else:
            told = kill_and_tell(Path(folder), asked.kills or 100, asked.seed)
    sys.stdout.write(json.dumps(told) + "\n")
    return 0 if told["ended_right"] == told["kills"] and not told["lost"] else 1


if __name__ == "__main__":
    sys.exit(main())
