"""Fuzz every reader: python -m snake_assets_tests.fuzz [--cases N] [--seed S] [--targets A B] [--keep DIR].

A JSON line for each target; exit 1 where a case crashed or hung, whose bytes are then in DIR.
"""

import argparse
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from snake_assets_tests.fuzz.driving import Tally, cases_of, drive
from snake_assets_tests.fuzz.readers import build_targets
from snake_assets_tests.fuzz.target import Target


def main() -> int:
    """Fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=14_000, help="in all, shared by the targets")
    parser.add_argument("--seed", default="1", help="another gives other cases")
    parser.add_argument("--targets", nargs="*", default=[], help="default: all")
    parser.add_argument(
        "--keep", type=Path, default=Path(".snake/fuzz"), help="for inputs that were not right"
    )
    options = parser.parse_args()
    clean = True
    with (
        tempfile.TemporaryDirectory(prefix="snake-fuzz-seeds-") as workspace,
        ThreadPoolExecutor(2) as drivers,
    ):
        targets = build_targets(Path(workspace))
        chosen = options.targets or list(targets)
        share = -(-options.cases // len(chosen))
        for tally in drivers.map(lambda name: drive(name, share, cases_of, name, options.seed), chosen):
            sys.stdout.write(json.dumps(tally.row()) + "\n")
            sys.stdout.flush()
            clean = clean and not tally.faults
            keep_faults(tally, targets[tally.target], options.seed, options.keep)
    return 0 if clean else 1


def keep_faults(tally: Tally, target: Target, seed: str, folder: Path) -> None:
    """Say which cases were not right, and keep their inputs and faults, to be tried again."""
    for number, fault in tally.faults.items():
        chosen, content = target.content(seed, number)
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"{target.name}-{seed}-{number}"
        kept.with_suffix(".txt").write_text(f"{chosen.name}\n{fault}")
        kept.with_suffix(".bin").write_bytes(content)
        last = fault.strip().splitlines()[-1][:200]
        sys.stderr.write(f"{target.name}, seed {seed}, case {number} ({chosen.name}): {last} -> {kept}.bin\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
