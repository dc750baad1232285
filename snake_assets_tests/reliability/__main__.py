"""Try everything and write docs/reliability.md: python -m snake_assets_tests.reliability [--kills N].

Exit 1 where something was lost or did not end right. Takes half an hour.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from snake_assets_tests.kills.trial import kill_and_tell
from snake_assets_tests.reliability.faults import CRASHES, WHOLE_JOB, rows_of_faults
from snake_assets_tests.reliability.page import Row, with_table

PAGE = Path("docs/reliability.md")
CHANGED = "valid files changed at random"


def main() -> int:
    """Try everything."""
    parser = argparse.ArgumentParser("python -m snake_assets_tests.reliability", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cases", type=int, default=14_000, help="of files changed at random")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    page = PAGE.read_text()
    kills, told = rows_of_kills(asked.kills, asked.seed)
    rows = [kills, *rows_of_faults(), *rows_of_changed_files(asked)]
    today = datetime.datetime.now(datetime.UTC).date()
    notes = [
        told,
        f"Seed {asked.seed}, {today}, Python {platform.python_version()}, {platform.system()}.",
    ]
    PAGE.write_text(with_table(page, rows, notes))
    unsound = [row for row in rows if not row.sound]
    for row in unsound:
        sys.stderr.write(f"{row.name}: {row.right} of {row.tried} ended right, {row.lost} lost\n")
    return 1 if unsound else 0


def rows_of_kills(kills: int, seed: int) -> tuple[Row, str]:
    """Kills of the whole job, and which steps they fell into, in words."""
    with TemporaryDirectory() as folder:
        told = kill_and_tell(Path(folder), kills, seed)
    sys.stderr.write(json.dumps(told) + "\n")
    steps = ", ".join(f"{step} ({count})" for step, count in told["by_asset"].items())
    row = Row(CRASHES, WHOLE_JOB, told["kills"], told["ended_right"], told["lost"])
    return row, f"The kills of the whole job fell into {steps}."


def rows_of_changed_files(asked: argparse.Namespace) -> list[Row]:
    """Every reader, with files changed at random; a reader writes nothing that could be lost."""
    command = [
        sys.executable,
        "-m",
        "snake_assets_tests.fuzz",
        f"--cases={asked.cases}",
        f"--seed={asked.seed}",
    ]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode()
    rows = [json.loads(line) for line in said.splitlines()]
    return [Row(CHANGED, row["target"], row["cases"], row["read"] + row["refused"], 0) for row in rows]


if __name__ == "__main__":
    sys.exit(main())
