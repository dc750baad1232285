"""The validation report as tables: what a program reads of it."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.learning.leakage import Leak
from snake_assets.learning.report import Judgement
from snake_assets.storage.fingerprints import Json

PREDICTIONS_FILE, SCORES_FILE = "predictions.parquet", "scores.json"
SPECIES_FILE, LEAKAGE_FILE = "species.csv", "leakage.csv"


def write_report(judgement: Judgement, folder: Path) -> None:
    """Write predictions.parquet, scores.json, species.csv and leakage.csv into an existing folder."""
    found = judgement.predictions
    table = pa.table(
        {
            "observation_id": pa.array(found.observation_id, pa.string()),
            "class_id": pa.array(judgement.truth, pa.int32()),
            "predicted": pa.array(found.class_id, pa.int32()),
            "probability": pa.array(found.probability, pa.float32()),
            "p_venomous": pa.array(found.p_venomous, pa.float32()),
            "top5_class_id": pa.array(list(found.top5_class_id), pa.list_(pa.int32())),
            "top5_probability": pa.array(list(found.top5_probability), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, folder / PREDICTIONS_FILE)
    (folder / SCORES_FILE).write_text(json.dumps(_scores(judgement), indent=1))
    judgement.species.write_csv(folder / SPECIES_FILE, float_precision=2)
    columns = {
        field.name: [getattr(leak, field.name) for leak in judgement.leakage.leaks] for field in fields(Leak)
    }
    pl.DataFrame(columns).write_csv(folder / LEAKAGE_FILE, float_precision=5)


def _scores(judgement: Judgement) -> dict[str, Json]:
    own, leakage = judgement.variants[0], judgement.leakage
    return {
        **asdict(own.scores),
        "intervals": {name: list(bounds) for name, bounds in own.intervals.items()},
        "chance": {name: round(value, 2) for name, value in judgement.chance.items()},
        "observations": len(judgement.predictions),
        "photos": int(judgement.predictions.photos.sum()),
        "unreadable_observations": list(judgement.unreadable),
        "unknown_class_ids": list(judgement.unseen),
        "venomous_taken_for_harmless": judgement.venom_counts[True, False],
        "harmless_taken_for_venomous": judgement.venom_counts[False, True],
        "calibration": {
            name: {
                "expected_calibration_error": round(statements.error, 4),
                "by_luck_alone": round(statements.error_by_luck, 4),
            }
            for name, statements in (
                ("probability", judgement.confidence),
                ("p_venomous", judgement.venom_confidence),
            )
        },
        "leakage": {
            "photos": len(leakage.leaks),
            "same_file": leakage.exact,
            "observations": leakage.observations,
            "unfinished": leakage.unfinished,
        },
        "variants": [variant.to_json() for variant in judgement.variants],
    }
