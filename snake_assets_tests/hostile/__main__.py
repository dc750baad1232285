"""Try every hostile input, the slow ones too: a JSON line for each class, and exit 1 if one ended wrong."""

import json
import sys
import tempfile
import warnings
from pathlib import Path

from snake_assets_tests.hostile.case import try_case
from snake_assets_tests.hostile.classes import CLASSES


def rows() -> list[dict[str, object]]:
    """Of each class: how many were tried, ended right, and how many files around them were lost."""
    found: list[dict[str, object]] = []
    for name, cases in CLASSES.items():
        right = lost = 0
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                ending = try_case(case, Path(folder))
            right, lost = right + (ending.fault is None), lost + ending.lost
            if ending.fault is not None:
                sys.stderr.write(f"{name}: {case.name}: {ending.fault}\n")
        found.append({"class": name, "tried": len(cases), "ended_right": right, "lost": lost})
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    table = rows()
    for row in table:
        sys.stdout.write(json.dumps(row) + "\n")
    sys.exit(any(row["tried"] != row["ended_right"] or row["lost"] for row in table))
