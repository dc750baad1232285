"""The official list of medically important venomous species (MIVS)."""

from pathlib import Path

from snake_assets.snakeclef.csvfile import read_rows
from snake_assets.snakeclef.errors import DataError

VENOM_LIST = "venomous_status_list.csv"
MAX_CLASS_ID = 2**31 - 1


def class_id_of(text: str) -> int:
    """Parse a class_id: a whole number that fits int32. Raises ValueError otherwise."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_CLASS_ID:
        raise ValueError(text)
    return int(text)


def read_venom_list(path: Path) -> dict[int, bool]:
    """Read `class_id,MIVS` into class_id -> is venomous.

    Raises:
        DataError: the file is missing or malformed, empty, or names a class twice.
    """
    venomous: dict[int, bool] = {}
    for row in read_rows(path, ["class_id", "MIVS"]):
        class_id = row.parse("class_id", class_id_of, "a whole number")
        if class_id in venomous:
            raise row.error("class_id", f"repeats class {class_id}", "a class stands once; remove one line")
        venomous[class_id] = row.parse("MIVS", ("0", "1").index, "0 (harmless) or 1 (venomous)") == 1
    if not venomous:
        raise DataError(f"{path} holds no class: fetch the official list again.")
    return venomous
