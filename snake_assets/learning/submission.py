"""The files of a submission: the answers, and what they were made from."""

import json
from collections.abc import Mapping
from pathlib import Path

from snake_assets.learning.classifier import Predictions
from snake_assets.snakeclef.submission import submission_csv
from snake_assets.storage.fingerprints import Json

SUBMISSION_FILE, ORIGIN_FILE = "submission.csv", "origin.json"


def write_submission(predictions: Predictions, origin: Mapping[str, Json], folder: Path) -> None:
    """Write submission.csv in the predictions' order, and origin.json with the digests it came from.

    origin.json also names the observations that had no readable photo, and how many had one.
    """
    answers = dict(zip(predictions.observation_id, predictions.class_id.tolist(), strict=True))
    (folder / SUBMISSION_FILE).write_text(submission_csv(answers), encoding="utf-8")
    unreadable = [name for name, photos in zip(answers, predictions.photos, strict=True) if photos == 0]
    content = {
        "made_from": origin,
        "observations": len(answers),
        "unreadable_observations": unreadable,
    }
    (folder / ORIGIN_FILE).write_text(json.dumps(content, indent=1))
