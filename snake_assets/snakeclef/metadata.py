"""The official metadata files of a split, read into rows that say where their photo lies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from snake_assets.snakeclef.csv_reader import CONTROL, Row, read_rows
from snake_assets.snakeclef.errors import DataError

# The official list of medically important venomous species (MIVS).


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


SPLITS = ("train", "val", "test")
SIZE_FOLDER = "SnakeCLEF2023-small_size"
LABELLED_COLUMNS = ("observation_id", "endemic", "binomial_name", "code", "image_path", "class_id")
TEST_COLUMNS = ("observation_id", "filename")


@dataclass(frozen=True)
class MetadataFile:
    """One official file: its name, whether a data set may lack it, and the folder its paths start from."""

    name: str
    photo_folder: str
    optional: bool = False


METADATA_FILES: Mapping[str, tuple[MetadataFile, ...]] = {
    "train": (
        MetadataFile("SnakeCLEF2023-TrainMetadata-iNat.csv", f"train/{SIZE_FOLDER}"),
        MetadataFile("SnakeCLEF2023-TrainMetadata-HM.csv", "train", optional=True),
    ),
    "val": (MetadataFile("SnakeCLEF2023-ValMetadata.csv", f"val/{SIZE_FOLDER}"),),
    "test": (MetadataFile("SnakeCLEF2024-TestMetadata.csv", "test"),),
}


@dataclass(frozen=True)
class PhotoRow:
    """What the metadata says of one photo; a test photo has no class, and a place only if its file tells.

    `image_id` is the path or file name of the metadata, unique in the split; `official_path` is where the
    official layout puts the photo, relative to the data root.
    """

    image_id: str
    observation_id: str
    official_path: str
    class_id: int | None = None
    binomial_name: str | None = None
    code: str | None = None
    endemic: bool | None = None


def metadata_paths(root: Path, split: str) -> list[Path]:
    """The metadata files of a split that are there; a required one is listed even if it is not."""
    folder = root / "metadata"
    return [
        folder / file.name
        for file in METADATA_FILES[split]
        if not file.optional or (folder / file.name).exists()
    ]


def read_metadata(root: Path, split: str, known_classes: Mapping[int, bool]) -> list[PhotoRow]:
    """Read a split's metadata files in their official order, iNaturalist before HerpMapper.

    Args:
        root: root of the raw data, which holds `metadata/`.
        split: train, val or test.
        known_classes: the venom list; a class_id outside it is an error.

    Raises:
        DataError: a file is missing, malformed or not UTF-8, lacks a column, repeats a photo, leads out
            of the data folder, holds an unknown class_id, or the split has no row at all.
    """
    present = metadata_paths(root, split)
    rows: list[PhotoRow] = []
    first_seen: dict[str, Row] = {}
    for file in METADATA_FILES[split]:
        path = root / "metadata" / file.name
        if path not in present:
            continue
        for line, row in _photo_rows(path, file, split, known_classes):
            column = "filename" if split == "test" else "image_path"
            if row.image_id in first_seen:
                earlier = first_seen[row.image_id]
                raise line.error(
                    column,
                    f"repeats {row.image_id!r} of {earlier.path.name}, line {earlier.line}",
                    "a photo stands once; remove one line",
                )
            first_seen[row.image_id] = line
            rows.append(row)
    if not rows:
        names = ", ".join(str(path) for path in present)
        raise DataError(f"The split {split!r} is empty: {names} holds no photo. Put the official rows there.")
    return rows


def _photo_rows(
    path: Path, file: MetadataFile, split: str, known_classes: Mapping[int, bool]
) -> Iterator[tuple[Row, PhotoRow]]:
    if split == "test":
        for line in read_rows(path, TEST_COLUMNS):
            name = line.parse("filename", _relative_path, "a file name inside the data folder")
            yield (
                line,
                PhotoRow(
                    image_id=name,
                    observation_id=line.exact("observation_id"),
                    official_path=f"{file.photo_folder}/{name}",
                    code=line.cells.get("code", "").strip() or None,
                    endemic=_endemic(line),
                ),
            )
        return
    for line in read_rows(path, LABELLED_COLUMNS):
        image_path = line.parse("image_path", _relative_path, "a path inside the data folder")
        class_id = line.parse("class_id", class_id_of, "a whole number")
        if class_id not in known_classes:
            raise line.error(
                "class_id",
                f"holds {class_id}, which {VENOM_LIST} lacks",
                "correct it or fetch the list again",
            )
        yield (
            line,
            PhotoRow(
                image_id=image_path,
                observation_id=line.exact("observation_id"),
                official_path=f"{file.photo_folder}/{image_path}",
                class_id=class_id,
                binomial_name=line.cells["binomial_name"].strip() or None,
                code=line.cells["code"].strip() or None,
                endemic=_endemic(line),
            ),
        )


def _endemic(line: Row) -> bool | None:
    if not line.cells.get("endemic", "").strip():
        return None
    return (
        line.parse("endemic", lambda text: ("false", "true").index(text.lower()), "True, False or empty") == 1
    )


def _relative_path(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not path.parts or CONTROL.search(text):
        raise ValueError(text)
    return text
