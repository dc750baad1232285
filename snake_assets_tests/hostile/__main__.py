"""Try every hostile input, the slow ones too: a JSON line for each class, and exit 1 if one ended wrong."""

import json
import sys
import tempfile
import warnings
from pathlib import Path

from snake_assets_tests.hostile import archives, models, photos, shards, tables
from snake_assets_tests.hostile.case import try_case

CLASSES = {
    "archives": archives.CASES,
    "metadata": tables.CASES,
    "photos": photos.CASES,
    "shards": shards.CASES,
    "models": models.CASES,
}


def main() -> int:
    """Of each class: how many were tried, ended right, and how many files around them were lost."""
    wrong = False
    for name, cases in CLASSES.items():
        right = lost = 0
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                ending = try_case(case, Path(folder))
            right, lost = right + (ending.fault is None), lost + ending.lost
            if ending.fault is not None:
                sys.stderr.write(f"{name}: {case.name}: {ending.fault}\n")
        row = {"class": name, "tried": len(cases), "ended_right": right, "lost": lost}
        sys.stdout.write(json.dumps(row) + "\n")
        wrong |= right < len(cases) or lost > 0
    return int(wrong)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
