"""What is read of a table is what was meant, or it is refused; never silently other."""

import csv
import datetime
import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.records import find_columns, read_records
from snake_assets.snakeclef.layouts.table import FIELDS

TEXT = st.text(st.sampled_from("abNZ äéñøß0123456789.,;\t\"'=|/-"), min_size=1, max_size=12)
FOREIGN = st.text(st.sampled_from("abжščé漢ğü"), min_size=1, max_size=6)
ROWS = st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4)
HEADERS = st.sampled_from(
    [
        ("path", "species", "observation_id"),
        (" Image Path ", "SCIENTIFICNAME", "gbifID"),
        ("filename", "label", "id"),
    ]
)
Meant = Sequence[Sequence[object]]
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, notes: list[str] | None = None) -> list[tuple[str, ...]] | None:
    """The cells, stripped, or None where the table is refused."""
    try:
        records = read_records(path, FIELDS, ("path", "species", "observation"), notes=notes)
        columns = [records.columns[field] for field in ("path", "species", "observation")]
        return [tuple(row.text(column) for column in columns) for row in records.rows]
    except DataError:
        return None


def stripped(rows: Meant) -> list[tuple[str, ...]]:
    return [tuple(str(cell).strip() for cell in row) for row in rows]


@many
@given(
    ROWS, HEADERS, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_csv_of_any_kind(
    tmp_path: Path,
    rows: Meant,
    header: Sequence[str],
    mark: str,
    end: str,
    encoding: str,
    index: bool,
    blank: bool,
):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, lineterminator=end)
    writer.writerow(["", *header] if index else header)
    for number, row in enumerate(rows):
        writer.writerow([number, *row] if index else row)
    path = tmp_path / "t.csv"
    path.write_bytes(
        (text.getvalue() + (f"{mark * (len(header) - 1 + index)}{end}" if blank else "")).encode(encoding)
    )
    told = read(path)
    whole = all(cell.strip() for row in rows for cell in row)
    assert told == stripped(rows) if whole else told is None


@many
@given(st.lists(st.tuples(FOREIGN, FOREIGN, FOREIGN), min_size=1, max_size=3), st.sampled_from(
    ["mac_roman", "cp850", "cp1250", "cp1251", "cp1254", "gb18030", "utf-16-le", "utf-32"]
))  # fmt: skip
def test_other_encodings_are_refused_or_told(tmp_path: Path, rows: Meant, encoding: str):
    path = tmp_path / "t.csv"
    text = "path,species,id\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(text.encode(encoding, errors="replace"))
    notes: list[str] = []
    told = read(path, notes)
    meant = path.read_bytes().decode(encoding).splitlines()[1:]
    assert told is None or notes or [",".join(row) for row in told] == meant


NUMBERS = st.one_of(TEXT, st.integers(0, 10**15), st.floats(0, 1e20))


@settings(many, max_examples=20)
@given(st.lists(st.tuples(TEXT, TEXT, NUMBERS), min_size=1, max_size=3))
def test_spreadsheets_and_parquet(tmp_path: Path, rows: Meant):
    book = Workbook()
    book.active.append(["path", "species", "id"])
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    told = read(tmp_path / "t.xlsx")
    # 7.0 is 7, to a spreadsheet as to us.
    last = [int(row[2]) if isinstance(row[2], float) else row[2] for row in rows]
    meant = stripped([(*row[:2], number) for row, number in zip(rows, last, strict=True)])
    plain = all(str(cell).strip() and not str(cell).startswith("=") for row in rows for cell in row)
    exact = all(
        number == row[2] and (isinstance(number, str) or number <= 2**53)
        for row, number in zip(rows, last, strict=True)
    )
    assert told == meant if plain and exact else told is None or (exact and told == meant)
    pl.DataFrame(meant, ["path", "species", "id"], orient="row").write_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == (meant if all(map(all, meant)) else None)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([["path", "species"], ["=A1", "A b"]], ["sheet 'Sheet'", "cell A2", "formula (=A1)"]),
        ([["path", "species"], [datetime.date(2020, 1, 2), "A b"]], ["cell A2", "2020-01-02"]),
        ([["path", "species"], ["#N/A", "A b"]], ["cell A2", "the error #N/A"]),
        ([["path", "species"], [1e18, "A b"]], ["cell A2", "whose digits may be others"]),
        ([["path", "path", "species"], ["a", "b", "A b"]], ["'path' and 'path'", "keep one"]),
        ([["photo", "name"]], ["no column for path", "image_path", "found: photo2, name"]),
    ],
)
def test_what_a_spreadsheet_computes_or_reforms_is_refused_by_its_cell(
    tmp_path: Path, rows: list[list[object]], told: list[str]
):
    book = Workbook()
    for row in rows:
        book.active.append(["photo2" if cell == "photo" else cell for cell in row])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(DataError) as caught:
        list(read_records(tmp_path / "t.xlsx", FIELDS, ("path", "species")).rows)
    for word in told:
        assert word in str(caught.value)
    book.create_sheet("More").append(["path"])
    book.save(tmp_path / "t.xlsx")
    for data in (b"PK\x03\x04 damaged", (tmp_path / "t.xlsx").read_bytes()):
        (tmp_path / "t.xlsx").write_bytes(data)
        with pytest.raises(DataError, match=r"cannot be read as XLSX|2 sheets"):
            find_columns(tmp_path / "t.xlsx", FIELDS)


def test_columns_are_those_that_somebody_names_or_the_likeliest_by_name(tmp_path: Path):
    path = tmp_path / "t.tsv"
    path.write_text("Foto\tclass\tscientific name\tfile\n")
    notes: list[str] = []
    assert find_columns(path, FIELDS, {"path": "foto"}, notes) == {
        "path": "Foto",
        "species": "scientific name",
    }
    assert notes == ["t.tsv: species is read from the column 'scientific name', not from 'class'."]
    with pytest.raises(DataError, match="no column 'Bild', which `columns`"):
        find_columns(path, FIELDS, {"path": "Bild"})
