"""The ablation as tables: what a program, a spreadsheet or a person reads of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from snake_assets.ablation.run import Ablation
from snake_assets.storage.fingerprints import Json

ABLATION_FILE, TABLE_FILE = "ablation.json", "ablation.csv"
HEADER = ("", "step", "Track 1", "95 % interval", "gain", "its 95 % interval", "macro F1", "own accuracy")


def write_ablation(ablation: Ablation, folder: Path) -> None:
    """Write ablation.json (all of it, with every step's settings) and ablation.csv into a folder."""
    rows: list[dict[str, Json]] = []
    for result in ablation.results:
        before = rows[-1]["track1"] if rows else None
        track1, (low, high) = result.scores["track1"], result.intervals["track1"]
        gain_low, gain_high = result.gain or (None, None)
        rows.append(
            {
                "step": result.step.name,
                **result.scores,
                "track1_low": low,
                "track1_high": high,
                "gain": round(track1 - before, 2) if isinstance(before, float) else None,
                "gain_low": gain_low,
                "gain_high": gain_high,
                "runs": len(result.track1_of_runs),
                "lowest_run": min(result.track1_of_runs),
                "highest_run": max(result.track1_of_runs),
                "species_named": round(float(np.mean([np.unique(run).size for run in result.class_id])), 2),
                "training_photos": result.photos,
                "own_accuracy": round(result.own_accuracy, 2),
            }
        )
    chance = {"species of train": ablation.chance, "species of the venom list": ablation.chance_of_list}
    content = {
        "observations": ablation.observations,
        "chance": {
            among: {name: round(value, 2) for name, value in scores.items()}
            for among, scores in chance.items()
        },
        "perfect_classifier_numbered_by_frequency": ablation.perfect_by_number,
        "steps": [
            {
                **row,
                "intervals": {name: list(bounds) for name, bounds in result.intervals.items()},
                "track1_of_runs": list(result.track1_of_runs),
                "settings": result.step.settings.model_dump(mode="json"),
            }
            for row, result in zip(rows, ablation.results, strict=True)
        ],
    }
    (folder / ABLATION_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    pl.DataFrame(rows).write_csv(folder / TABLE_FILE)


def shown(ablation: Mapping[str, Any]) -> list[list[object]]:
    """Rows under `HEADER`, one for each step of an ablation.json's content."""
    return [
        [
            number,
            step["step"],
            f"{step['track1']:.2f}",
            f"{step['track1_low']:.1f} to {step['track1_high']:.1f}",
            "" if step["gain"] is None else f"{step['gain']:+.2f}",
            "" if step["gain"] is None else f"{step['gain_low']:+.1f} to {step['gain_high']:+.1f}",
            f"{step['f1']:.2f}",
            f"{step['own_accuracy']:.1f}",
        ]
        for number, step in enumerate(ablation["steps"], start=1)
    ]
