"""One table that tells of every photo: where it lies and which species it shows."""

import re
from collections.abc import Sequence
from pathlib import Path

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.csv_reader import CONTROL, Row
from snake_assets.snakeclef.layouts.own import SPLIT_NAMES, Options, Photo, split_named
from snake_assets.snakeclef.layouts.records import TABLE_SUFFIXES, find_columns, read_records
from snake_assets.snakeclef.layouts.species import SPECIES_FILES
from snake_assets.snakeclef.metadata import Labels, PhotoRow
from snake_assets.snakeclef.raw.photo_files import PhotoFile, match_photos

# Field -> usual names of its column, the likeliest first.
FIELDS = {
    "path": ("path", "image_path", "file_path", "file", "filename", "image", "image_name", "photo"),
    "species": ("species", "binomial_name", "scientificName", "label", "class", "class_id"),
    "observation": ("observation_id", "occurrenceID", "gbifID", "id"),
    "split": ("split",),
    "country": ("code", "countryCode", "country"),
}


def tables_in(root: Path, options: Options, but: Sequence[Path] = ()) -> tuple[list[Path], list[Path]]:
    """The tables of photos in a folder, and those that lack a column of paths or of species; `but` some.

    Raises:
        DataError: a table cannot be read, or lacks a column that the options name.
    """
    tables: list[Path] = []
    others: list[Path] = []
    for path in sorted(root.iterdir()):
        is_table = path.suffix.lower() in TABLE_SUFFIXES and not path.name.startswith((".", "~$"))
        if is_table and path.name not in SPECIES_FILES and path not in but and path.is_file():
            (
                tables
                if {"path", "species"} <= find_columns(path, FIELDS, options.columns).keys()
                else others
            ).append(path)
    return tables, others


def read_table(
    path: Path, root: Path, files: Sequence[PhotoFile], options: Options, notes: list[str]
) -> list[Photo]:
    """The photos that a table names, in its order, each with its file if that is found.

    Raises:
        DataError: the table cannot be read as it was meant, names a photo twice or outside of the folder,
            or a split that is none, or two rows mean one file.
    """
    records = read_records(path, FIELDS, ("path", "species"), options.columns, notes)
    columns, labels = records.columns, Labels()
    told: list[Photo] = []
    first: dict[str, Row] = {}
    turned = alone = 0
    for row in records.rows:
        text = row.text(columns["path"])
        turned += "\\" in text
        place = _inside(row, columns["path"], root)
        if (earlier := first.setdefault(place, row)) is not row:
            raise row.error(columns["path"], f"repeats {place!r} of {row.unit} {earlier.line}", "remove one")
        split = _split(row, columns["split"]) if "split" in columns else None
        species = row.cells[columns["species"]].strip() if split == "test" else row.text(columns["species"])
        observation = place
        if "observation" in columns:
            if row.cells[columns["observation"]].strip():
                observation = row.exact(columns["observation"]).strip()
                labels.add(row, observation)
            else:
                alone += 1
        code = row.cells[columns["country"]].strip() or None if "country" in columns else None
        where = f"{path.name}, {row.unit} {row.line}"
        told.append(Photo(place, observation, species or None, where, None, split, code))
    labels.finish()
    if turned:
        notes.append(f"{path.name} writes {counted(turned, 'path')} with backslashes, read as /.")
    if alone:
        notes.append(f"{path.name} gives {counted(alone, 'photo')} no observation: each is one of its own.")
    rows = [PhotoRow(photo.path, photo.observation_id, photo.path) for photo in told]
    sources = match_photos(rows, files).sources
    return [
        Photo(**{**vars(photo), "file": source.file}) for photo, source in zip(told, sources, strict=True)
    ]


def _split(row: Row, column: str) -> str:
    split = split_named(row.text(column))
    if split is None:
        known = ", ".join(name for names in SPLIT_NAMES.values() for name in names)
        raise row.error(column, f"holds {row.text(column)[:60]!r}", f"it must be one of {known}")
    return split


def _inside(row: Row, column: str, root: Path) -> str:
    """A path relative to the root, without the parts that say nothing."""
    text = row.text(column).replace("\\", "/")
    for above in (f"{root}/", f"{root.resolve()}/"):
        text = text.removeprefix(above)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if re.match(r"[a-z]+://", text, re.IGNORECASE):
        raise row.error(column, f"holds the address {text[:60]!r}", "fetch the photos, and name the files")
    if (
        text.startswith("/")
        or re.match("[A-Za-z]:", text)
        or ".." in parts
        or not parts
        or CONTROL.search(text)
    ):
        raise row.error(
            column,
            f"holds {text[:60]!r}, which lies outside of {root}",
            "put the photo there, and name it so",
        )
    return "/".join(parts)


def describe_tables(paths: Sequence[Path]) -> DataError:
    """The error of a folder with several tables of photos."""
    return DataError(
        f"{paths[0].parent} has several tables of photos, {paths[0].name} and {paths[1].name} first: keep "
        "the one that tells of them, or join them into one with a column `split`."
    )
