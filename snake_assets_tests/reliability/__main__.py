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
from typing import Any

from snake_assets_tests.kills.trial import kill_and_tell
from snake_assets_tests.reliability.faults import CRASHES, WHOLE_JOB, rows_of_faults
from snake_assets_tests.reliability.page import Row, with_table

PAGE = Path("docs/reliability.md")
HOSTILE, CHANGED = "hostile files", "valid files changed at random"


def main() -> int:
    """Try everything."""
    parser = argparse.ArgumentParser("python -m snake_assets_tests.reliability", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cases", type=int, default=14_000, help="of files changed at random")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    page = PAGE.read_text()
    kills, told = rows_of_kills(asked.kills, asked.seed)
    rows = [kills, *rows_of_faults(), *rows_of_hostile_files(), *rows_of_changed_files(asked)]
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
    counts: dict[str, int] = told["by_asset"]  # type: ignore[assignment]
    words = "The kills of the whole job fell into " + ", ".join(
        f"{step} ({count})" for step, count in counts.items()
    )
    tried, right, lost = (int(str(told[key])) for key in ("kills", "ended_right", "lost"))
    return Row(CRASHES, WHOLE_JOB, tried, right, lost), words + "."


def rows_of_hostile_files() -> list[Row]:
    """Every class of hostile input."""
    told = told_by("hostile")
    return [Row(HOSTILE, str(row["class"]), row["tried"], row["ended_right"], row["lost"]) for row in told]


def rows_of_changed_files(asked: argparse.Namespace) -> list[Row]:
    """Every reader, with files changed at random; a reader writes nothing that could be lost."""
    told = told_by("fuzz", "--cases", str(asked.cases), "--seed", str(asked.seed))
    return [Row(CHANGED, str(row["target"]), row["cases"], row["read"] + row["refused"], 0) for row in told]


def told_by(module: str, *options: str) -> list[dict[str, Any]]:
    """The lines of JSON that another command here prints."""
    command = [sys.executable, "-m", f"snake_assets_tests.{module}", *options]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.decode()
    return [json.loads(line) for line in told.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
