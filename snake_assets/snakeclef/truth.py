"""The true class of every observation, read from a metadata file."""

from pathlib import Path

from snake_assets.snakeclef.csvfile import read_rows
from snake_assets.snakeclef.venom import class_id_of


def read_truth(path: Path) -> dict[str, int]:
    """Read observation_id -> class_id; an observation's truth is its first row's class.

    Raises:
        DataError: the file is missing or malformed.
    """
    truth: dict[str, int] = {}
    for row in read_rows(path, ["observation_id", "class_id"]):
        class_id = row.parse("class_id", class_id_of, "a whole number")
        truth.setdefault(row.exact("observation_id"), class_id)
    return truth
