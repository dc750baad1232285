"""All files of a detector of our own."""

import json
import shutil
from pathlib import Path

import polars as pl

from snake_assets.detection.auto_labels import AutoLabels
from snake_assets.detection.making import MadeDetector
from snake_assets.plots.detector_curve import detector_curve_png
from snake_assets.plots.finds_sheet import finds_sheet
from snake_assets.plots.label_sheet import label_sheet

WEIGHTS_FILE, SCORES_FILE, CURVE_TABLE = "detector.pt", "scores.json", "curve.csv"
CURVE_FILE, FINDS_FILE = "curve.png", "finds.webp"
LABELS_FILE, LABELS_TABLE = "labels.webp", "labels.csv"


def write_detector(made: MadeDetector, start: str, labels: AutoLabels | None, folder: Path) -> None:
    """Write weights, figures, curves and pictures into an existing folder.

    Args:
        made: the detector.
        start: what it started from, as a person calls it.
        labels: boxes of a finder among those it learnt from; None where there are none.
        folder: to write into.

    Raises:
        DetectionError: a photo that was held out cannot be read any more.
    """
    judgements = {"detector": made.judgement} | ({start: made.of_start} if made.of_start else {})
    shutil.copyfile(made.weights.path, folder / WEIGHTS_FILE)
    scores = {**made.scores(), "labels": labels.counts() if labels else None}
    (folder / SCORES_FILE).write_text(json.dumps(scores, indent=1))
    pl.concat(
        pl.DataFrame(
            {
                "confidence": judged.curve.confidence,
                "precision": judged.curve.precision,
                "recall": judged.curve.recall,
            }
        ).select(pl.lit(name).alias("detector"), pl.all())
        for name, judged in judgements.items()
    ).write_csv(folder / CURVE_TABLE)
    (folder / CURVE_FILE).write_bytes(detector_curve_png(judgements))
    (folder / FINDS_FILE).write_bytes(finds_sheet(made.judgement))
    if labels:
        (folder / LABELS_FILE).write_bytes(label_sheet(labels.labelled))
        labels.table().write_csv(folder / LABELS_TABLE)
