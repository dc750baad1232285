"""CSV files read strictly: whatever is wrong is an error that names file, line and column.

What spreadsheets and scripts change in a table without changing what it says (another separator or encoding,
names of columns in other case, unnamed columns of row numbers) is read where there is one way to read it, and
told; all else is refused by its cause.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from snake_assets.snakeclef import DataError, counted
from snake_assets.storage.io import status
from snake_assets.storage.paths import AnyPath

Value = TypeVar("Value")

# Longer than any id, name or path of the competition; what is beyond it is not a table of ours.
MAX_FIELD_LENGTH = 4096
# Far above what the competition has (20 MB, 8 columns): what is beyond it would only fill the memory.
MAX_BYTES = 256 << 20
MAX_COLUMNS = 256
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Row:
    """One line of a CSV file; cells are taken by column name and know where they came from.

    `unit` is what `line` counts, in other files than CSV.
    """

    path: AnyPath
    line: int
    cells: dict[str, str]
    unit: str = "line"

    def text(self, column: str) -> str:
        """The cell, stripped; an empty one is a DataError."""
        value = self.cells[column].strip()
        if not value:
            raise self.error(column, "is empty", "fill it in or remove the line")
        return value

    def exact(self, column: str) -> str:
        """The cell to the letter, for ids; a blank one, or a control character in it, is a DataError."""
        self.text(column)
        value = self.cells[column]
        if CONTROL.search(value):
            raise self.error(column, f"holds {value[:60]!r}, with a control character", "write it without")
        return value

    def parse(self, column: str, parser: Callable[[str], Value], wanted: str) -> Value:
        """The cell through `parser`; a ValueError from it becomes a DataError that says what was wanted."""
        value = self.text(column)
        try:
            return parser(value)
        except ValueError:
            raise self.error(column, f"holds {value[:60]!r}", f"it must be {wanted}") from None

    def error(self, column: str, fault: str, remedy: str) -> DataError:
        """A DataError about one cell of this line."""
        return DataError(f"{self.path}, {self.unit} {self.line}, column {column!r} {fault}: {remedy}.")


def read_rows(
    path: AnyPath, columns: Sequence[str], optional: Sequence[str] = (), notes: list[str] | None = None
) -> Iterator[Row]:
    """Read the lines of a CSV file with a header that holds at least `columns`, in any order.

    Args:
        path: the file, in UTF-8, in UTF-16 with a byte order mark, or in what can only be Windows-1252.
        columns: names of those that must be there; found in any case of their letters.
        optional: names of those that are found in the same way if they are there.
        notes: what was read although it is not as in the official files is added to it, in sentences.

    Raises:
        DataError: the file is missing, larger than MAX_BYTES or of another encoding, a column is missing or
            stands twice, there are more than MAX_COLUMNS, or a line has too many or too few cells, a NUL, or
            a cell longer than MAX_FIELD_LENGTH.
    """
    notes = [] if notes is None else notes
    text = _read_text(path, notes)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}, line {line} holds a NUL character: the file is damaged; fetch it again.")
    separator = _separator(path, text, columns, notes)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    try:
        header = [name.strip() for name in next(reader, [])]
        kept = _columns(path, header, columns, optional, notes)
        for values in reader:
            # A line of separators alone is what a spreadsheet leaves below a table.
            if not any(values) and len(values) in (0, len(header)):
                continue
            if len(values) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num} has {len(values)} cells where the header has "
                    f"{len(header)} columns: look for a missing or stray separator or quote."
                )
            cells = {name: values[position] for name, position in kept.items()}
            for name, value in cells.items():
                if len(value) > MAX_FIELD_LENGTH:
                    raise DataError(
                        f"{path}, line {reader.line_num}, column {name!r} has {len(value)} characters, more "
                        f"than {MAX_FIELD_LENGTH}: look for a quote that is never closed."
                    )
            yield Row(path, reader.line_num, cells)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num} is not CSV ({error}): mend or fetch the file again."
        ) from None


def read_header(path: AnyPath) -> list[str]:
    """The names in the first line, by the separator that gives most of them; raises as `read_rows`."""
    first = _read_text(path, []).lstrip("\r\n").splitlines()[:1]
    try:
        headers = [next(csv.reader(first, strict=True, delimiter=mark), []) for mark in SEPARATORS]
    except csv.Error as error:
        raise DataError(f"{path}, line 1 is not CSV ({error}): mend or fetch the file again.") from None
    return [name.strip() for name in max(headers, key=len)]


def _read_text(path: AnyPath, notes: list[str]) -> str:
    try:
        # Before it is opened: a pipe would be waited for.
        if isinstance(path, Path) and not path.is_file() and path.exists():
            raise DataError(f"{path} is no file: put the official file there.")
        if (size := status(path).size) > MAX_BYTES:
            raise DataError(f"{path} has {size} bytes, more than {MAX_BYTES}: it is not the official file.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing: put the official file there (README, 'Your own data')."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path and its rights.") from None
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise DataError(f"{path} is encoded as UTF-32: save the file as UTF-8.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        notes.append(f"{path.name} is encoded as UTF-16.")
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise DataError(f"{path} is UTF-16 that is cut or damaged: save the file as UTF-8.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if (text := _windows_1252(data)) is not None:
            word = re.search(r"\w*[^\x00-\x7f]\w*", text)
            shown = word.group() if word else ""
            notes.append(
                f"{path.name} is not UTF-8 (line {line}) and read as Windows-1252, such as {shown!r}."
            )
            return text
        line_start = data.rfind(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}, column {_column_at(data, line_start, error.start)} is neither UTF-8 nor "
            f"surely Windows-1252 (byte 0x{data[error.start]:02x}): save the file as UTF-8."
        ) from None


# The letters of Windows-1252. What stands below them is as likely a letter of another encoding (Mac OS, DOS).
WESTERN = bytes(sorted({*range(0xC0, 0x100)} - {0xD7, 0xF7}))


def _windows_1252(data: bytes) -> str | None:
    """The text in Windows-1252, or None where it could be of another encoding.

    Words of Western languages have one letter with a mark, or two, between plain ones: a longer run of them
    is Greek, Cyrillic, or an encoding of several bytes.
    """
    runs = re.findall(rb"[\x80-\xff]+", data)
    if all(len(run) <= 2 and not run.translate(None, WESTERN) for run in runs):
        return data.decode("cp1252")
    return None


def _column_at(data: bytes, line_start: int, position: int) -> str:
    """The name of the column that holds a byte, as far as the undecodable text lets it be told."""
    header = data[: data.find(b"\n")].decode("utf-8-sig", errors="replace").strip().split(",")
    index = data[line_start:position].count(b",")
    return repr(header[index]) if line_start and index < len(header) else str(index + 1)


def _separator(path: AnyPath, text: str, columns: Sequence[str], notes: list[str]) -> str:
    """The separator by which the header holds every column; the comma where none does."""
    first = text[:MAX_FIELD_LENGTH].partition("\n")[0]
    for separator, name in SEPARATORS.items():
        there = {cell.strip().strip('"').casefold() for cell in first.split(separator)}
        if there >= {column.casefold() for column in columns}:
            if separator != ",":
                notes.append(f"{path.name} is separated by {name}.")
            return separator
    words = set(re.split(r"\W+", first.casefold()))
    if "," not in first and len(columns) > 1 and words >= {column.casefold() for column in columns}:
        odd = re.sub(r'[\w"]+', "", first)[:1]
        raise DataError(
            f"{path}, line 1: the columns are separated by {odd!r}, not by commas: save the file with commas."
        )
    return ","


def _columns(
    path: AnyPath, header: list[str], columns: Sequence[str], optional: Sequence[str], notes: list[str]
) -> dict[str, int]:
    """Name -> position of the columns; one that is wanted goes by its official name."""
    if len(header) > MAX_COLUMNS:
        raise DataError(
            f"{path}, line 1 has {len(header)} columns, more than {MAX_COLUMNS}: it is not the official file."
        )
    named = list(header)
    for name in (*columns, *optional):
        alike = [position for position, other in enumerate(header) if other.casefold() == name.casefold()]
        if name not in header and len(alike) == 1:
            notes.append(f"{path.name} calls the column {name!r} {header[alike[0]]!r}.")
            named[alike[0]] = name
    missing = [name for name in columns if name not in named]
    if missing:
        shown = ", ".join(header)[:200] or "nothing"
        raise DataError(
            f"{path}, line 1: column {', '.join(map(repr, missing))} is missing (found: {shown}). "
            f"The file needs the columns {', '.join(columns)}, in any order."
        )
    repeated = sorted(name for name, times in Counter(named).items() if times > 1 and name)
    if repeated:
        raise DataError(f"{path}, line 1: column {repeated[0]!r} stands more than once: keep one of them.")
    if unnamed := named.count(""):
        notes.append(f"{path.name} has {counted(unnamed, 'column')} without a name, left out.")
    return {name: position for position, name in enumerate(named) if name}
