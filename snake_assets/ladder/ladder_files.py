"""The ladder as tables: what a program, or a spreadsheet, reads of it."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from snake_assets.ladder.climb import SCORES, Ladder, Step
from snake_assets.storage.fingerprints import Json

LADDER_FILE, TABLE_FILE = "ladder.json", "ladder.csv"


def write_ladder(ladder: Ladder, folder: Path) -> None:
    """Write ladder.json (all of it, with every rung's settings) and ladder.csv into an existing folder."""
    rows = [_row(step, before) for step, before in zip(ladder.steps, [None, *ladder.steps], strict=False)]
    content = {
        "observations": ladder.observations,
        "chance": {
            "species of train": _rounded(ladder.chance),
            "species of the venom list": _rounded(ladder.chance_of_list),
        },
        "perfect_classifier_numbered_by_frequency": ladder.perfect_by_number,
        "rungs": [
            {
                **row,
                "intervals": {name: list(bounds) for name, bounds in step.intervals.items()},
                "track1_of_runs": list(step.track1_of_runs),
                "settings": step.rung.settings.model_dump(mode="json"),
            }
            for row, step in zip(rows, ladder.steps, strict=True)
        ],
    }
    (folder / LADDER_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    pl.DataFrame(rows).write_csv(folder / TABLE_FILE)


def _row(step: Step, before: Step | None) -> dict[str, Json]:
    low, high = step.intervals["track1"]
    gain_low, gain_high = step.gain or (None, None)
    return {
        "rung": step.rung.name,
        "change": step.rung.change,
        **{name: step.scores[name] for name in SCORES},
        "track1_low": low,
        "track1_high": high,
        "gain": round(step.scores["track1"] - before.scores["track1"], 2) if before else None,
        "gain_low": gain_low,
        "gain_high": gain_high,
        "runs": len(step.track1_of_runs),
        "lowest_run": min(step.track1_of_runs),
        "highest_run": max(step.track1_of_runs),
        "species_named": round(step.species_named, 2),
        "training_photos": step.answers.photos,
        "own_accuracy": round(step.answers.own_accuracy, 2),
        "training": step.answers.training,
    }


def _rounded(scores: Mapping[str, float]) -> dict[str, Json]:
    return {name: round(value, 2) for name, value in scores.items()}
