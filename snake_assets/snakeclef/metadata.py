"""The official metadata files: rows that say where their photo lies, and labels that agree."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.csv_reader import CONTROL, Row, read_rows

VENOM_LIST = "venomous_status_list.csv"
MAX_CLASS_ID = 2**31 - 1
# A spreadsheet keeps 15 digits of a number and writes long ones as 1.12E+15 (1,12E+15 in some languages).
KEPT_DIGITS = 15
SCIENTIFIC = re.compile(r"\d([.,]\d+)?[eE]\+\d+")
# So many digits that are zero behind those kept, over all ids, are no accident (1 in 10,000).
ROUNDED_DIGITS = 4
SPREADSHEET = "a spreadsheet that saves long ids as numbers does this; fetch the official file again"


def class_id_of(text: str) -> int:
    """Parse a class_id: a whole number that fits int32, as 273 or 273.0. Raises ValueError otherwise."""
    whole = re.sub(r"(?<=\d)\.0+$", "", text)
    if not (whole.isascii() and whole.isdigit()) or int(whole) > MAX_CLASS_ID:
        raise ValueError(text)
    return int(whole)


def read_venom_list(path: Path, notes: list[str] | None = None) -> dict[int, bool]:
    """Read `class_id,MIVS` into class_id -> is medically important venomous; `notes` as for `read_metadata`.

    Raises:
        DataError: the file is missing or malformed, empty, or names a class twice.
    """
    venomous: dict[int, bool] = {}
    for row in read_rows(path, ["class_id", "MIVS"], notes=notes):
        class_id = row.parse("class_id", class_id_of, "a whole number")
        if class_id in venomous:
            raise row.error("class_id", f"repeats class {class_id}", "a class stands once; remove one line")
        venomous[class_id] = row.parse("MIVS", ("0", "1").index, "0 (harmless) or 1 (venomous)") == 1
    if not venomous:
        raise DataError(f"{path} holds no class: fetch the official list again.")
    return venomous


@dataclass
class Labels:
    """What rows say of observations and classes, held against what they said before.

    An observation is one snake, so of one class; a class has one name, and a name one class.
    """

    _classes: dict[str, tuple[int, Row]] = field(default_factory=dict)
    _names: dict[int | str, tuple[int | str, Row]] = field(default_factory=dict)
    _long: dict[str, Row] = field(default_factory=dict)

    def add(self, row: Row, observation: str, class_id: int | None = None, name: str | None = None) -> None:
        """Take a row into account.

        Raises:
            DataError: its observation_id looks rounded, or it contradicts an earlier row; names both lines.
        """
        if SCIENTIFIC.fullmatch(observation.strip()):
            raise row.error("observation_id", f"holds {observation!r}, a rounded number", SPREADSHEET)
        if len(observation) > KEPT_DIGITS and observation.isdigit():
            self._long.setdefault(observation, row)
        if class_id is None:
            return
        known, earlier = self._classes.setdefault(observation, (class_id, row))
        if known != class_id:
            raise row.error(
                "class_id",
                f"gives observation {observation!r} class {class_id}, and {_place(earlier)} gives it {known}",
                f"an observation is of one species; correct one of them ({SPREADSHEET})",
            )
        for key, value in ((class_id, name), (name, class_id)) if name else ():
            assert key is not None and value is not None
            other, earlier = self._names.setdefault(key, (value, row))
            if other != value:
                raise row.error(
                    "binomial_name",
                    f"has {value!r} with {key!r}, and {_place(earlier)} has {other!r}",
                    "a class_id has one binomial name, and a name one class_id; correct one of them",
                )

    def finish(self) -> None:
        """After the last row. Raises DataError where all long ids end in zeros, as rounded ones do."""
        behind = [observation[KEPT_DIGITS:] for observation in self._long]
        if len("".join(behind)) >= ROUNDED_DIGITS and not any(digits.strip("0") for digits in behind):
            observation, row = next(iter(self._long.items()))
            raise row.error(
                "observation_id",
                f"holds {observation!r}, and all {len(behind)} ids of more than {KEPT_DIGITS} digits end in "
                "zeros: they look rounded",
                SPREADSHEET,
            )


def _place(row: Row) -> str:
    return f"{row.path.name}, {row.unit} {row.line}"


SPLITS = ("train", "val", "test")
SIZE_FOLDER = "SnakeCLEF2023-small_size"
LABELLED_COLUMNS = ("observation_id", "binomial_name", "image_path", "class_id")
TEST_COLUMNS = ("observation_id", "filename")
OPTIONAL_COLUMNS = ("endemic", "code")
# Photos that people have named (`snake-assets review`), and their folder below that of train.
REVIEWED, REVIEWED_FOLDER = "reviewed.csv", "reviewed"


@dataclass(frozen=True)
class MetadataFile:
    """One metadata file: its name, whether a data set may lack it, and the folder its paths start from."""

    name: str
    photo_folder: str
    optional: bool = False


METADATA_FILES: Mapping[str, tuple[MetadataFile, ...]] = {
    "train": (
        MetadataFile("SnakeCLEF2023-TrainMetadata-iNat.csv", f"train/{SIZE_FOLDER}"),
        MetadataFile("SnakeCLEF2023-TrainMetadata-HM.csv", "train", optional=True),
        MetadataFile(REVIEWED, "train", optional=True),
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


@dataclass(frozen=True)
class LicensedPhotoRow(PhotoRow):
    """A row of which it is known under which licence the photo is, and whose it is."""

    licence: str | None = None
    rights_holder: str | None = None


def metadata_paths(root: Path, split: str) -> list[Path]:
    """The metadata files of a split that are there; a required one is listed even if it is not."""
    folder = root / "metadata"
    return [
        folder / file.name
        for file in METADATA_FILES[split]
        if not file.optional or (folder / file.name).exists()
    ]


def read_metadata(
    root: Path, split: str, known_classes: Mapping[int, bool], notes: list[str] | None = None
) -> list[PhotoRow]:
    """Read a split's metadata files in order: iNaturalist, HerpMapper, reviewed photos.

    Args:
        root: root of the raw data, which holds `metadata/`.
        split: train, val or test.
        known_classes: the venom list; a class_id outside it is an error.
        notes: what was read although it is not as in the official files is added to it, in sentences.

    Raises:
        DataError: a file is missing, malformed or of another encoding, lacks a column, repeats a photo, leads
            out of the data folder, holds an unknown class_id, labels that contradict each other or ids that
            look rounded, or the split has no row at all.
    """
    notes = [] if notes is None else notes
    present = metadata_paths(root, split)
    rows: list[PhotoRow] = []
    labels = Labels()
    first_seen: dict[str, Row] = {}
    photo_column = "filename" if split == "test" else "image_path"
    for file in METADATA_FILES[split]:
        path = root / "metadata" / file.name
        if path not in present:
            continue
        absent: set[str] = set()
        columns = TEST_COLUMNS if split == "test" else LABELLED_COLUMNS
        for line in read_rows(path, columns, OPTIONAL_COLUMNS, notes):
            absent.update(name for name in OPTIONAL_COLUMNS if name not in line.cells)
            row = _photo_row(line, photo_column, file.photo_folder, known_classes)
            labels.add(line, row.observation_id, row.class_id, row.binomial_name)
            place = _clean(row.image_id)
            if place in first_seen:
                earlier = first_seen[place]
                raise line.error(
                    photo_column,
                    f"repeats {row.image_id!r} of {earlier.path.name}, line {earlier.line}",
                    "a photo stands once; remove one line",
                )
            first_seen[place] = line
            rows.append(row)
        if absent and split != "test":
            notes.append(f"{file.name} has no column {' or '.join(sorted(absent))}: none is known.")
    labels.finish()
    if not rows:
        names = ", ".join(str(path) for path in present)
        raise DataError(f"The split {split!r} is empty: {names} holds no photo. Put the official rows there.")
    return rows


def _photo_row(line: Row, column: str, photo_folder: str, known_classes: Mapping[int, bool]) -> PhotoRow:
    if "\\" in line.text(column):
        raise line.error(
            column, f"holds {line.text(column)[:60]!r}, with a backslash", "write folders with / between them"
        )
    path = line.parse(column, _relative_path, "a path inside the data folder")
    class_id = None
    if "class_id" in line.cells and column == "image_path":
        class_id = line.parse("class_id", class_id_of, "a whole number")
        if class_id not in known_classes:
            raise line.error(
                "class_id",
                f"holds {class_id}, which {VENOM_LIST} lacks",
                "correct it or fetch the list again",
            )
    return PhotoRow(
        image_id=path,
        observation_id=line.exact("observation_id"),
        official_path=f"{photo_folder}/{_clean(path)}",
        class_id=class_id,
        binomial_name=None if class_id is None else line.cells["binomial_name"].strip() or None,
        code=line.cells.get("code", "").strip() or None,
        endemic=_endemic(line),
    )


def _endemic(line: Row) -> bool | None:
    if line.cells.get("endemic", "").strip().casefold() in ("", "na", "n/a", "nan", "none", "null"):
        return None
    known = ("false", "true", "0", "1", "0.0", "1.0")
    return (
        line.parse("endemic", lambda text: known.index(text.casefold()), "True, False, 1, 0 or empty") % 2
        == 1
    )


def _relative_path(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/") or not _clean(text) or CONTROL.search(text):
        raise ValueError(text)
    return text


def _clean(path: str) -> str:
    """A path without the parts that say nothing: `./a//b.jpg` is a/b.jpg."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))
