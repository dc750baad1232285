"""The ladder for a person to read, in the UI and in a terminal.

    python -m snake_assets.ladder.shown STORE/paper_ladder/ladder.json

prints the table of docs/ladder.md; errors go to stderr with exit status 2.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEADER = (
    "",
    "rung",
    "Track 1",
    "95 % interval",
    "gain",
    "its 95 % interval",
    "macro F1",
    "its own accuracy",
    "species named",
    "what changed",
)


def table(ladder: Mapping[str, Any]) -> list[list[object]]:
    """Rows under `HEADER`, one for each rung of a ladder.json's content."""
    return [
        [
            number,
            step["rung"],
            f"{step['track1']:.2f}",
            f"{step['track1_low']:.1f} to {step['track1_high']:.1f}",
            *(
                ("", "")
                if step["gain"] is None
                else (f"{step['gain']:+.2f}", f"{step['gain_low']:+.1f} to {step['gain_high']:+.1f}")
            ),
            f"{step['f1']:.2f}",
            f"{step['own_accuracy']:.1f}",
            f"{step['species_named']:.1f}",
            step["change"],
        ]
        for number, step in enumerate(ladder["rungs"], start=1)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table in markdown; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m snake_assets.ladder.shown", description="The ladder as a table in markdown."
    )
    parser.add_argument("ladder", type=Path, metavar="LADDER.json")
    path: Path = parser.parse_args(arguments).ladder
    try:
        rows = table(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{path} is no ladder ({error}): run the job ladder first.\n")
        return 2
    for cells in (HEADER, ["---"] * len(HEADER), *rows):
        sys.stdout.write("| " + " | ".join(map(str, cells)) + " |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
