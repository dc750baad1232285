"""The submission file: observation_id,class_id, one row per test observation."""

import csv
import io
from collections.abc import Mapping

from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.snakeclef.metadata import class_id_of
from snake_assets.storage.paths import AnyPath

SUBMISSION_FILE = "submission.csv"
COLUMNS = ("observation_id", "class_id")


def submission_csv(predictions: Mapping[str, int]) -> str:
    """The file's text; rows keep the mapping's order, which must be the test metadata's."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(predictions.items())
    return text.getvalue()


def read_submission(path: AnyPath) -> dict[str, int]:
    """Read observation_id -> class_id in the file's order.

    Raises:
        DataError: the file is missing or malformed, or an observation stands twice.
    """
    predictions: dict[str, int] = {}
    for row in read_rows(path, COLUMNS):
        observation_id = row.exact("observation_id")
        if observation_id in predictions:
            raise row.error("observation_id", f"repeats {observation_id!r}", "keep one row per observation")
        predictions[observation_id] = row.parse("class_id", class_id_of, "a whole number")
    return predictions
