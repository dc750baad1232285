"""Tables of any kind (CSV, TSV, XLSX, Parquet), read as rows of text by the usual names of their columns.

A cell is given as text only where there is one way to write it so; what a spreadsheet computes, or keeps as a
date, is refused by its cell.
"""

import datetime
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.csv_reader import (
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_FIELD_LENGTH,
    Row,
    read_header,
    read_rows,
)

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".parquet")
# What float64 and spreadsheets keep of a whole number.
EXACT = 2**53
Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Records:
    """Rows of a table; `columns` names the column of each field that was found, as the table has it."""

    columns: Mapping[str, str]
    rows: Iterator[Row]


@dataclass(frozen=True)
class Fault:
    """A cell that is no text: where it is, and why."""

    place: str
    why: str


Cell = str | Fault


def find_columns(
    path: Path, fields: Fields, named: Mapping[str, str] | None = None, notes: list[str] | None = None
) -> dict[str, str]:
    """Which column of a table holds which field; fields that none holds are left out.

    Args:
        path: the table.
        fields: field -> names that its column may have, the likeliest first, in any case, with `_`, `-` and
            blanks or without.
        named: field -> the column that somebody has said it is.
        notes: where several columns could be a field, which of them is read is added to it.

    Raises:
        DataError: the table cannot be read, or a column that was named is not there, or two could be meant.
    """
    header = _header(path)
    folded: dict[str, list[str]] = {}
    for name in header:
        folded.setdefault(_folded(name), []).append(name)
    named = named or {}
    found: dict[str, str] = {}
    for field, usual in fields.items():
        names = [named[field]] if field in named else usual
        there = [(alike, folded[alike]) for alike in dict.fromkeys(map(_folded, names)) if alike in folded]
        if not there:
            if field in named:
                raise DataError(
                    f"{path} has no column {names[0]!r}, which `columns` of the resource raw_data names for "
                    f"{field} (found: {', '.join(header)[:200]})."
                )
            continue
        (_, columns), *others = there
        if len(columns) > 1:
            raise DataError(
                f"{path}: the columns {columns[0]!r} and {columns[1]!r} are one: keep one of them."
            )
        found[field] = columns[0]
        if others and notes is not None:
            unread = ", ".join(repr(column) for _, alike in others for column in alike)
            notes.append(f"{path.name}: {field} is read from the column {columns[0]!r}, not from {unread}.")
    return found


def read_records(
    path: Path,
    fields: Fields,
    needed: Sequence[str],
    named: Mapping[str, str] | None = None,
    notes: list[str] | None = None,
) -> Records:
    """Read a table; arguments as for `find_columns`, and the fields that it must have.

    Raises:
        DataError: as `find_columns`; a field is missing; while iterating, a row cannot be read as meant.
    """
    columns = find_columns(path, fields, named, notes)
    for field in needed:
        if field not in columns:
            raise DataError(
                f"{path} has no column for {field} (one of {', '.join(fields[field])}; found: "
                f"{', '.join(_header(path))[:200]}): name the column so."
            )
    wanted = list(dict.fromkeys(columns.values()))
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        rows = _sheet_records(path, wanted)
    elif suffix == ".parquet":
        rows = _parquet_records(path, wanted)
    else:
        rows = read_rows(path, wanted, notes=notes)
    return Records(columns, rows)


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _header(path: Path) -> list[str]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        try:
            return list(pl.read_parquet_schema(path))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{path} cannot be read as Parquet ({error}): write it anew.") from error
    if suffix == ".xlsx":
        _, first = next(_sheet(path), (0, []))
        return [cell.strip() for cell in first if isinstance(cell, str) and cell.strip()]
    return [name for name in read_header(path) if name]


def _parquet_records(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    frame = pl.read_parquet(path, columns=list(wanted))
    for name, kind in frame.schema.items():
        if not (
            kind.is_integer() or kind.is_float() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null)
        ):
            raise DataError(f"{path}, column {name!r} holds {kind}: write it as text.")
    for line, values in enumerate(frame.iter_rows(), 1):
        cells = {name: _number(value) for name, value in zip(wanted, values, strict=True)}
        yield _row(path, line, cells)


def _sheet_records(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    sheet = _sheet(path)
    _, header = next(sheet)
    names = [cell.strip() if isinstance(cell, str) else "" for cell in header]
    places = {name: names.index(name) for name in wanted}
    for name in wanted:
        if names.count(name) > 1:
            raise DataError(f"{path}, line 1: column {name!r} stands more than once: keep one of them.")
    for line, cells in sheet:
        if any(cells):
            found: dict[str, Cell] = {
                name: cells[place] if place < len(cells) else "" for name, place in places.items()
            }
            yield _row(path, line, found)


def _row(path: Path, line: int, cells: Mapping[str, Cell]) -> Row:
    texts = {}
    for name, cell in cells.items():
        if isinstance(cell, Fault):
            raise DataError(f"{path}, {cell.place or f'row {line}'}, column {name!r} {cell.why}.")
        if len(cell) > MAX_FIELD_LENGTH:
            raise DataError(
                f"{path}, row {line}, column {name!r} has more than {MAX_FIELD_LENGTH} characters."
            )
        texts[name] = cell
    return Row(path, line, texts, "row")


def _sheet(path: Path) -> Iterator[tuple[int, list[Cell]]]:
    """The rows of a workbook's only sheet that holds anything: number and cells, from the header on."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > MAX_BYTES:
            raise DataError(f"{path} unpacks to {size} bytes, more than {MAX_BYTES}: save it as CSV.")
        book = load_workbook(path, read_only=True, data_only=False, keep_links=False)
        filled = []
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            if any(cell.value is not None for row in sheet.iter_rows(max_row=50) for cell in row):
                filled.append(sheet)
        if len(filled) > 1:
            raise DataError(
                f"{path} has {len(filled)} sheets that hold something, {filled[0].title!r} and "
                f"{filled[1].title!r} first: keep the one with the photos in a file of its own."
            )
        begun = False
        for number, row in enumerate(filled[0].iter_rows() if filled else (), 1):
            if len(row) > MAX_COLUMNS:
                raise DataError(
                    f"{path}, row {number} has more than {MAX_COLUMNS} columns: keep what is needed."
                )
            cells = [_cell(cell.value, cell.data_type, filled[0].title, cell) for cell in row]
            begun = begun or any(cells)
            if begun:
                yield number, cells
        book.close()
    except DataError:
        raise
    except (
        Exception
    ) as error:  # openpyxl lets through whatever a damaged file makes the libraries below raise
        raise DataError(f"{path} cannot be read as XLSX ({error}): open it and save it anew.") from error


def _cell(value: object, kind: str, sheet: str, cell: object) -> Cell:
    place = f"sheet {sheet!r}, cell {getattr(cell, 'coordinate', '')}"
    if kind == "f":
        return Fault(place, f"holds a formula ({str(value)[:60]}): paste its value in its place")
    if kind == "e":
        return Fault(place, f"holds the error {value}: write what is meant")
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return Fault(
            place, f"is kept as a date or time ({value}): format the column as text and write it again"
        )
    return _number(value, place)


def _number(value: object, place: str = "") -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        if value != value:
            return ""
        if abs(value) > EXACT or not value.is_integer():
            return Fault(place, f"holds the number {value!r}, whose digits may be others: write it as text")
        return str(int(value))
    return str(value)
